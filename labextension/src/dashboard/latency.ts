/** The latency histogram of a benchmark, with its percentiles. */

import type { Histogram, Summary } from '../live/messages';
import { make, show } from './element';
import { formatNumber } from './format';
import { Plot, type Drawing } from './plot';
import type { Plotly, Trace, Layout } from './plotly';
import { formatColumn, isObject, makeTable } from './table';
import type { Theme } from './theme';

interface Measured {
  /** What was measured: `original`, `compiled`. */
  who: string;
  /** `batch 1 · length 32`. */
  where: string;
  batch: number;
  length: number;
  histogram: Histogram;
}

export class Latency {
  readonly element = make('div', { class: 'lepton-latency' });
  readonly plot: Plot;

  constructor(
    private readonly _view: () => Summary | null,
    visible: () => boolean,
    redraw: () => void
  ) {
    this.plot = new Plot('Latency', () => this._drawing(), visible, this._choice);
    this._choice.addEventListener('change', () => {
      this._chosen = this._choice.value;
      redraw();
    });
    this.element.append(
      make('div', { class: 'lepton-plots lepton-plots-one' }, this.plot.element),
      this._table
    );
  }

  use(plotly: Plotly): void {
    this.plot.use(plotly);
  }

  draw(view: Summary): void {
    const all = measured(view.latency ?? {});
    const places = [...new Set(all.map(each => each.where))];
    const shape = places.join('|');
    if (shape !== this._places) {
      this._places = shape;
      this._choice.replaceChildren(...places.map(place => make('option', { value: place }, place)));
      this._chosen = places.includes(this._chosen) ? this._chosen : (places[0] ?? '');
      this._choice.value = this._chosen;
      show(this._choice, places.length > 1);
    }
    const report = view.reports.benchmark;
    const results = isObject(report) && Array.isArray(report.results) ? report.results.filter(isObject) : [];
    const rows = JSON.stringify([
      results,
      all.map(({ who, where, histogram: { p50, p95, p99, count } }) => [who, where, p50, p95, p99, count])
    ]);
    if (rows !== this._rows) {
      this._rows = rows;
      const table = results.length > 0 ? resultTable(results) : all.length > 0 ? liveTable(all) : '';
      this._table.replaceChildren(table);
    }
  }

  dispose(): void {
    this.plot.dispose();
  }

  private _drawing(): Drawing {
    const shown = measured(this._view()?.latency ?? {}).filter(each => each.where === this._chosen);
    return {
      figures: shown.map(({ who, histogram }, i) => ({
        label: `${who} p50`,
        value: `${formatNumber(histogram.p50)} ms`,
        series: i + 1
      })),
      description: shown
        .map(
          ({ who, where, histogram: { p50, p95, p99 } }) =>
            `${who}, ${where}: half of the requests within ${formatNumber(p50)} ms, 95 of 100 within ${formatNumber(p95)} ms, 99 of 100 within ${formatNumber(p99)} ms.`
        )
        .join(' '),
      empty: shown.length > 0 ? '' : 'Warming up',
      traces: theme => shown.map(({ who, histogram }, i) => bars(who, histogram, theme, i)),
      layout: theme => lines(shown, theme)
    };
  }

  private readonly _choice = make('select', {
    class: 'lepton-choice',
    'aria-label': 'Batch size and length'
  });
  private readonly _table = make('div');
  private _chosen = '';
  private _places = '-';
  private _rows = '';
}

function measured(latency: Record<string, Histogram>): Measured[] {
  return Object.entries(latency)
    .map(([name, histogram]) => {
      const parts = /^(.*)\.b(\d+)\.l(\d+)$/.exec(name);
      return parts === null
        ? { who: name, where: '', batch: 0, length: 0, histogram }
        : {
            who: parts[1],
            where: `batch ${parts[2]} · length ${parts[3]}`,
            batch: Number(parts[2]),
            length: Number(parts[3]),
            histogram
          };
    })
    .sort((a, b) => a.batch - b.batch || a.length - b.length);
}

function bars(who: string, { edges, counts, count }: Histogram, theme: Theme, i: number): Trace {
  const color = theme.series[i % theme.series.length];
  return {
    type: 'bar',
    name: who,
    x: counts.map((_, bin) => (edges[bin] + edges[bin + 1]) / 2),
    width: counts.map((_, bin) => edges[bin + 1] - edges[bin]),
    y: counts.map(each => (100 * each) / count),
    marker: { color, opacity: 0.45, line: { width: 1, color } },
    hovertemplate: `${who} %{y:.1f} % of requests<extra></extra>`
  };
}

function lines(shown: readonly Measured[], theme: Theme): Layout {
  const marks = shown.flatMap(({ histogram }, i) =>
    (['p50', 'p95', 'p99'] as const).map((part, rank) => ({
      part,
      rank,
      i,
      at: histogram[part],
      color: theme.series[i % theme.series.length]
    }))
  );
  return {
    barmode: 'overlay',
    bargap: 0,
    hovermode: 'closest',
    margin: { l: 54, r: 16, t: 8 + 13 * shown.length, b: 22, pad: 2 },
    xaxis: { ticksuffix: ' ms' },
    yaxis: { ticksuffix: ' %', rangemode: 'tozero' },
    shapes: marks.map(({ at, color, rank }) => ({
      type: 'line',
      xref: 'x',
      yref: 'paper',
      x0: at,
      x1: at,
      y0: 0,
      y1: 1,
      line: { color, width: 1.5, dash: ['solid', 'dash', 'dot'][rank] }
    })),
    annotations: marks.map(({ at, color, part, rank, i }) => ({
      xref: 'x',
      yref: 'paper',
      x: at,
      y: 1,
      yanchor: 'bottom',
      xanchor: rank === 2 ? 'left' : 'right',
      yshift: 13 * (shown.length - 1 - i),
      text: part,
      showarrow: false,
      font: { size: 10, color }
    }))
  };
}

const RESULT_COLUMNS: readonly [string, string][] = [
  ['model', 'model'],
  ['batch_size', 'batch'],
  ['length', 'length'],
  ['p50_ms', 'p50, ms'],
  ['p95_ms', 'p95, ms'],
  ['p99_ms', 'p99, ms'],
  ['speedup', 'speed-up'],
  ['rows_per_second', 'rows/s'],
  ['tokens_per_second', 'tokens/s'],
  ['peak_memory_mb', 'memory, MB']
];

/** The report of a benchmark that is over. */
function resultTable(results: readonly Record<string, unknown>[]): HTMLElement {
  const shown = RESULT_COLUMNS.filter(([name]) =>
    results.some(row => row[name] !== null && row[name] !== undefined)
  );
  const columns = shown.map(([name]) => formatColumn(results.map(row => row[name])));
  return makeTable(
    'Results',
    shown.map(([name, title]) => ({ title, isNumber: name !== 'model' })),
    results.map((_, i) => ({ cells: columns.map(column => column[i]) }))
  );
}

function liveTable(all: readonly Measured[]): HTMLElement {
  const number = (title: string): { title: string; isNumber: boolean } => ({ title, isNumber: true });
  return makeTable(
    'Latency in milliseconds',
    [
      { title: 'model' },
      number('batch'),
      number('length'),
      number('p50'),
      number('p95'),
      number('p99'),
      number('requests')
    ],
    all.map(({ who, batch, length, histogram: { p50, p95, p99, count } }) => ({
      cells: [
        who,
        batch ? String(batch) : '–',
        length ? String(length) : '–',
        ...[p50, p95, p99].map(formatNumber),
        formatNumber(count)
      ]
    }))
  );
}
