/** The trials of a sweep: what each tried, and what came of it. */

import type { Summary } from '../live/messages';
import { make, show } from './element';
import { formatName } from './format';
import { formatColumn, formatValue, isObject, makeTable } from './table';

type Row = Record<string, unknown>;

const MOST = 50;

export class Trials {
  readonly element = make('div', { class: 'lepton-trials' });

  draw(view: Summary): void {
    const report = view.reports.sweep;
    if (report === this._drawn) {
      return;
    }
    this._drawn = report;
    const rows = isObject(report) && Array.isArray(report.trials) ? report.trials.filter(isObject) : [];
    show(this.element, rows.length > 0);
    if (isObject(report) && rows.length > 0) {
      const best = isObject(report.best) ? report.best.trial : null;
      this.element.replaceChildren(trialTable(newest(rows, best), best, report.metric));
    }
  }

  private _drawn: unknown = null;
}

/** A long search is not read whole: its best trial and the last ones. */
function newest(rows: readonly Row[], best: unknown): Row[] {
  const last = rows.slice(-MOST);
  const winner = rows.find(row => row.trial === best);
  return winner && !last.includes(winner) ? [winner, ...last] : last;
}

function trialTable(rows: readonly Row[], best: unknown, metric: unknown): HTMLElement {
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
    'Trials',
    columns.map(({ title, values }) => ({ title, isNumber: values.some(each => typeof each === 'number') })),
    rows.map((row, i) => ({
      cells: cells.map(column => column[i]),
      marked: row.trial === best,
      faint: row.state === 'pruned' || row.state === 'failed'
    }))
  );
}
