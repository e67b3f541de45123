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
    const shown = ordered(view.metrics, view.kind);
    show(this.element, shown.length > 0);
    this.element.replaceChildren(
      ...shown.map(([name, value]) =>
        make(
          'div',
          { class: 'lepton-result' },
          make('dt', {}, formatName(name)),
          make('dd', {}, typeof value === 'number' ? shortNumber(value) : formatValue(value))
        )
      )
    );
  }

  private _drawn: unknown = undefined;
}

/** These stand alone, not in a column: zeros at the end say nothing. */
function shortNumber(value: number): string {
  const text = formatNumber(value);
  return /^[^e]*\.\d*0+$/.test(text) ? text.replace(/\.?0+$/, '') : text;
}

const MOST = 8;

/** What people look for first, by kind of run; the beginnings of names. */
const FIRST: Partial<Record<string, string[]>> = {
  train: ['test_'],
  sweep: ['best_', 'test_'],
  compile: ['backend', 'precision', 'speedup', 'latency', 'test_'],
  benchmark: ['speedup', 'p50', 'p95', 'p99', 'rows_per', 'tokens_per', 'peak_memory', 'model']
};

/** What was measured on untouched rows first. */
function ordered(metrics: Record<string, unknown>, kind: string): [string, unknown][] {
  const first = FIRST[kind] ?? [];
  const rank = (name: string): number => {
    const at = first.findIndex(start => name.startsWith(start));
    return at < 0 ? first.length : at;
  };
  return Object.entries(metrics)
    .filter(([, value]) => ['number', 'string', 'boolean'].includes(typeof value))
    .filter(([name]) => !/runtime|(samples|steps)_per_second|_steps$|_low$|_high$|_points$/.test(name))
    .sort(([a], [b]) => rank(a) - rank(b))
    .slice(0, MOST);
}
