/** Every backend that a compilation tried, the losers too, and what was picked. */

import type { Summary } from '../live/messages';
import { make, show } from './element';
import { formatName } from './format';
import { formatColumn, isObject, makeList, makeTable } from './table';

const FIRST = [
  ...[
    'backend',
    'name',
    'precision',
    'status',
    'verdict',
    'latency_ms',
    'p50_ms',
    'speedup',
    'metric',
    'difference'
  ],
  ...[
    'difference_points',
    'bound_points',
    'lower_bound_points',
    'agreement',
    'max_logit_difference',
    'reason'
  ]
];
const MOST_COLUMNS = 10;

export class Candidates {
  readonly element = make('div', { class: 'lepton-candidates' });

  draw(view: Summary): void {
    const report = view.reports.compile;
    if (report === this._drawn) {
      return;
    }
    this._drawn = report;
    show(this.element, isObject(report));
    if (!isObject(report)) {
      return;
    }
    const rows = (Array.isArray(report.candidates) ? report.candidates : []).filter(isObject);
    const pick = isObject(report.pick) ? report.pick : null;
    this.element.replaceChildren(
      rows.length > 0 ? candidateTable(rows, pick) : '',
      ...[['Pick', report.pick] as const, ['On the test rows', report.test] as const].map(
        ([title, values]) =>
          isObject(values)
            ? make(
                'div',
                { class: 'lepton-part' },
                make('div', { class: 'lepton-part-title' }, title),
                makeList(plain(values))
              )
            : ''
      )
    );
  }

  private _drawn: unknown = null;
}

type Row = Record<string, unknown>;

function candidateTable(rows: readonly Row[], pick: Row | null): HTMLElement {
  const rank = (name: string): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const names = [...new Set(rows.flatMap(row => Object.keys(plain(row))))]
    .filter(name => rows.some(row => row[name] !== null && row[name] !== ''))
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, MOST_COLUMNS);
  const columns = names.map(name => formatColumn(rows.map(row => row[name])));
  return makeTable(
    'Candidates',
    names.map(name => ({
      title: formatName(name),
      isNumber: rows.some(row => typeof row[name] === 'number')
    })),
    rows.map((row, i) => ({
      cells: columns.map(column => column[i]),
      marked: isPick(row, pick)
    }))
  );
}

function isPick(row: Row, pick: Row | null): boolean {
  const keys = ['backend', 'precision', 'name'].filter(key => pick !== null && key in pick && key in row);
  return keys.length > 0 && keys.every(key => row[key] === pick?.[key]);
}

function plain(row: Row): Row {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => typeof value !== 'object'));
}
