/** Every backend that a compilation tried, the losers too. */

import type { Summary } from '../live/messages';
import { make, show } from './element';
import { formatName } from './format';
import { formatValue, isObject, makeList, makeTable } from './table';

export class Candidates {
  readonly element = make('div', { class: 'lepton-candidates' });

  draw(view: Summary): void {
    const report = view.reports.compile;
    if (report === this._drawn) {
      return;
    }
    this._drawn = report;
    const { candidates, ...rest }: Record<string, unknown> = isObject(report) ? report : {};
    const rows = (Array.isArray(candidates) ? candidates : []).filter(isObject);
    const names = [...new Set(rows.flatMap(row => Object.keys(row)))].filter(name =>
      rows.some(row => !isObject(row[name]))
    );
    const picked = rest.picked ?? rest.backend;
    this.element.replaceChildren(
      rows.length > 0
        ? makeTable(
            'Candidates',
            names.map(name => ({
              title: formatName(name),
              isNumber: rows.some(row => typeof row[name] === 'number')
            })),
            rows.map(row => ({
              cells: names.map(name => formatValue(row[name])),
              marked: row.picked === true || (picked !== undefined && row.backend === picked)
            }))
          )
        : '',
      makeList(rest)
    );
    show(this.element, isObject(report));
  }

  private _drawn: unknown = null;
}
