/** What was found in the data before anything was trained, folded. */

import type { Summary } from '../live/messages';
import { make, setText, show } from './element';
import { formatName, formatNumber } from './format';
import { formatValue, isObject, makeList, makeTable } from './table';

export class Preflight {
  readonly element: HTMLElement;

  constructor() {
    this.element = make(
      'details',
      { class: 'lepton-fold' },
      make('summary', {}, 'Data', this._hint),
      this._body
    );
  }

  draw(view: Summary): void {
    const report = view.reports.preflight;
    if (report === this._drawn) {
      return;
    }
    this._drawn = report;
    show(this.element, isObject(report));
    if (!isObject(report)) {
      return;
    }
    const rest = Object.fromEntries(Object.entries(report).filter(([name]) => name !== 'warnings'));
    setText(this._hint, hint(rest));
    const plain = Object.fromEntries(Object.entries(rest).filter(([, value]) => !isTable(value)));
    this._body.replaceChildren(
      makeList(plain),
      ...Object.entries(rest)
        .filter(([, value]) => isTable(value))
        .map(([name, value]) => nested(formatName(name), value as Record<string, Record<string, unknown>>))
    );
  }

  private readonly _hint = make('span', { class: 'lepton-fold-hint' });
  private readonly _body = make('div', { class: 'lepton-fold-body' });
  private _drawn: unknown = null;
}

/** An object of objects, such as counts by split. */
function isTable(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length > 0 && Object.values(value).every(isObject);
}

function nested(title: string, rows: Record<string, Record<string, unknown>>): HTMLElement {
  const names = [...new Set(Object.values(rows).flatMap(row => Object.keys(row)))];
  const isNumber = (name: string): boolean => Object.values(rows).some(row => typeof row[name] === 'number');
  return makeTable(
    title,
    [{ title: '' }, ...names.map(name => ({ title: formatName(name), isNumber: isNumber(name) }))],
    Object.entries(rows).map(([key, row]) => ({
      cells: [formatName(key), ...names.map(name => formatValue(row[name]))]
    }))
  );
}

function hint(report: Record<string, unknown>): string {
  const rows = report.rows;
  if (!isObject(rows)) {
    return '';
  }
  return Object.entries(rows)
    .filter((pair): pair is [string, number] => typeof pair[1] === 'number')
    .map(([split, count]) => `${formatNumber(count)} ${split}`)
    .join('  ·  ');
}
