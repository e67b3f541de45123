/** The trials of a sweep: what each tried, and what came of it. */

import { ENDED, type Summary } from '../live/messages';
import { make, show } from './element';
import { formatName } from './format';
import { formatColumn, formatValue, isObject, makeTable, type TableRow } from './table';

type Row = Record<string, unknown>;

const MOST = 50;

export class Trials {
  readonly element = make('div', { class: 'lepton-trials' });

  draw(view: Summary): void {
    const report = view.reports.sweep;
    const over = ENDED.has(view.status);
    if (report === this._drawn && over === this._over) {
      return;
    }
    this._drawn = report;
    this._over = over;
    const rows = isObject(report) && Array.isArray(report.trials) ? report.trials.filter(isObject) : [];
    show(this.element, rows.length > 0);
    if (isObject(report) && rows.length > 0) {
      const best = isObject(report.best) ? report.best : null;
      const shown = newest(rows, best?.trial);
      this.element.replaceChildren(
        trialTable(shown, best?.trial, report.metric, caption(report, best, over))
      );
    }
  }

  private _drawn: unknown = null;
  private _over = false;
}

function caption(report: Row, best: Row | null, over: boolean): string {
  if (best === null) {
    return 'Trials';
  }
  const so = over ? '' : ' so far';
  return `Trials: best ${formatValue(report.metric)}${so} ${formatValue(best.value)}, trial ${formatValue(best.trial)}`;
}

/** A long search is not read whole: its best trial and the last ones. */
function newest(rows: readonly Row[], best: unknown): Row[] {
  const last = rows.slice(-MOST);
  const winner = rows.find(row => row.trial === best);
  return winner && !last.includes(winner) ? [winner, ...last] : last;
}

function trialTable(rows: readonly Row[], best: unknown, metric: unknown, heading: string): HTMLElement {
  const given = rows.map(row => (isObject(row.parameters) ? row.parameters : {}));
  const names = [...new Set(given.flatMap(each => Object.keys(each)))];
  const columns = [
    { title: 'trial', values: rows.map(row => row.trial) },
    { title: 'run', values: rows.map(row => row.run) },
    { title: 'state', values: rows.map(row => row.state) },
    { title: formatValue(metric), values: rows.map(row => row.value) },
    ...names.map(name => ({ title: formatName(name), values: given.map(each => each[name]) }))
  ];
  const cells = columns.map(column => formatColumn(column.values));
  return makeTable(
    heading,
    columns.map(({ title, values }) => ({ title, isNumber: values.some(each => typeof each === 'number') })),
    rows.flatMap((row, i): TableRow[] => [
      {
        cells: cells.map(column => column[i]),
        marked: row.trial === best,
        faint: row.state !== 'complete' && row.state !== 'running'
      },
      // Why it was stopped, or what went wrong.
      ...(typeof row.message === 'string' ? [{ cells: [row.message], whole: true }] : [])
    ])
  );
}
