/** The numbers that a run ended with. */

import type { Summary } from '../live/messages';
import { make, show } from './element';
import { formatName, formatNumber } from './format';
import { formatValue } from './table';

export class Results {
  readonly element = make('dl', { class: 'lepton-results', 'aria-label': 'Results' });

  draw(view: Summary): void {
    if (view.metrics === this._drawn) {
      return;
    }
    this._drawn = view.metrics;
    const shown = ordered(view.metrics);
    show(this.element, shown.length > 0);
    this.element.replaceChildren(
      ...shown.map(([name, value]) =>
        make(
          'div',
          { class: 'lepton-result' },
          make('dt', {}, formatName(name)),
          make('dd', {}, typeof value === 'number' ? formatNumber(value) : formatValue(value))
        )
      )
    );
  }

  private _drawn: unknown = undefined;
}

const MOST = 8;

/** What was measured on untouched rows first. */
function ordered(metrics: Record<string, unknown>): [string, unknown][] {
  const rank = (name: string): number => (name.startsWith('test_') ? 0 : name.startsWith('eval_') ? 2 : 1);
  return Object.entries(metrics)
    .filter(([, value]) => ['number', 'string', 'boolean'].includes(typeof value))
    .filter(([name]) => !/runtime|per_second|_steps$/.test(name))
    .sort(([a], [b]) => rank(a) - rank(b))
    .slice(0, MOST);
}
