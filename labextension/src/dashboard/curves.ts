/** The charts of a training run: which curves, and how they are named. */

import { ENDED } from '../live/messages';
import type { RunRecord } from '../live/record';
import { formatName, formatNumber } from './format';
import type { Drawing, Figure } from './plot';
import type { Theme } from './theme';

export interface Curve {
  /** Name of the series. */
  name: string;
  label: string;
  unit?: string;
  /** Evaluations are few and far between: their points are marked. */
  marked?: boolean;
  /** Its points are no course of anything: no line joins them. */
  apart?: boolean;
}

export interface Chart {
  title: string;
  curves(record: RunRecord): Curve[];
  empty: string;
  /** What is counted from left to right; steps if nothing is said. */
  across?: string;
  /** For numbers that only make sense from zero up. */
  fromZero?: boolean;
  /** Numbers without a curve, shown in the heading. */
  also?(record: RunRecord): Figure[];
}

const only =
  (...curves: Curve[]) =>
  (record: RunRecord): Curve[] =>
    curves.filter(curve => record.series.has(curve.name));

const NOT_QUALITY = /^eval_(loss|runtime|.*per_second|steps?|.*seconds|.*_ms|model_preparation_time)$/;

/** The two plainest evaluation metrics; all of them are in the results. */
function evaluationCurves(record: RunRecord): Curve[] {
  return [...record.series.keys()]
    .filter(name => name.startsWith('eval_') && !NOT_QUALITY.test(name))
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, 2)
    .map(name => ({ name, label: formatName(name.slice('eval_'.length)), marked: true }));
}

const KNOWN = ['accuracy', 'f1', 'macro_f1', 'precision', 'recall', 'r2', 'perplexity'];

function rank(name: string): number {
  const at = KNOWN.indexOf(name.slice('eval_'.length));
  return at < 0 ? KNOWN.length : at;
}

export const SWEEP_CHARTS: readonly Chart[] = [
  {
    title: 'Results',
    across: 'trials ended',
    curves: only(
      { name: 'value', label: 'trial', marked: true, apart: true },
      { name: 'best_value', label: 'best so far' }
    ),
    empty: 'No trial has ended yet'
  }
];

export const TRAINING_CHARTS: readonly Chart[] = [
  {
    title: 'Loss',
    curves: only({ name: 'loss', label: 'train' }, { name: 'eval_loss', label: 'evaluation', marked: true }),
    empty: 'The first step is on its way'
  },
  { title: 'Scores', curves: evaluationCurves, empty: 'Not evaluated yet' },
  {
    title: 'Learning rate',
    curves: only({ name: 'learning_rate', label: '' }),
    empty: ' ',
    fromZero: true
  },
  {
    title: 'Speed',
    curves: record =>
      record.series.has('tokens_per_second')
        ? [{ name: 'tokens_per_second', label: '', unit: 'tokens/s' }]
        : only({ name: 'samples_per_second', label: '', unit: 'samples/s' })(record),
    empty: ' ',
    fromZero: true,
    also: record =>
      record.series.has('tokens_per_second') && record.latest('samples_per_second') !== null
        ? [
            {
              label: '',
              value: formatRate(record.latest('samples_per_second')),
              unit: 'samples/s',
              series: 0
            }
          ]
        : []
  },
  {
    title: 'Memory',
    curves: record =>
      record.series.has('gpu_memory_mb')
        ? only(
            { name: 'gpu_memory_mb', label: 'GPU', unit: 'MB' },
            { name: 'memory_mb', label: 'main', unit: 'MB' }
          )(record)
        : only({ name: 'memory_mb', label: '', unit: 'MB' })(record),
    empty: ' ',
    fromZero: true
  }
];

/** What a chart shows of a record now. */
export function drawCurves(chart: Chart, record: RunRecord): Drawing {
  const curves = chart.curves(record);
  const figures: Figure[] = curves.map((curve, i) => ({
    label: curve.label,
    value: curve.unit
      ? formatRate(record.latest(curve.name))
      : formatNumber(record.latest(curve.name) ?? NaN),
    unit: curve.unit,
    series: curves.length > 1 || curve.marked ? i + 1 : 0,
    mark: curve.marked ? 'dots' : 'line'
  }));
  return {
    figures: [...figures, ...(chart.also?.(record) ?? [])],
    description: describe(curves, record),
    empty: curves.length > 0 ? '' : emptyWords(chart, record),
    traces: theme => curves.map((curve, i) => trace(curve, record, theme, i)),
    layout: () => ({
      xaxis: {
        unifiedhovertitle: { text: `${chart.across ?? 'step'} %{x:,}` },
        tickformat: ',d',
        rangemode: 'nonnegative',
        // Between few steps Plotly would write the same whole number twice.
        ...(lastStep(curves, record) < 10 ? { dtick: 1 } : {})
      },
      yaxis: chart.fromZero
        ? { rangemode: 'tozero' }
        : isShare(curves, record)
          ? { autorangeoptions: { clipmax: 1.01 } }
          : {}
    })
  };
}

function lastStep(curves: Curve[], record: RunRecord): number {
  return Math.max(0, ...curves.flatMap(curve => record.series.get(curve.name)?.steps.slice(-1) ?? []));
}

/** Rates and sizes need no more than three digits. */
function formatRate(value: number | null): string {
  return value === null ? '–' : value >= 100 ? formatNumber(Math.round(value)) : value.toFixed(1);
}

/** Scores from 0 to 1 need no room above 1. */
function isShare(curves: Curve[], record: RunRecord): boolean {
  const values = curves.flatMap(curve =>
    curve.name === 'eval_loss' || curve.name === 'loss' ? [2] : (record.series.get(curve.name)?.values ?? [])
  );
  return values.length > 0 && values.every(value => value >= 0 && value <= 1);
}

function emptyWords(chart: Chart, record: RunRecord): string {
  const over = record.view !== null && ENDED.has(record.view.status);
  return over ? 'Nothing was measured' : chart.empty;
}

function trace(curve: Curve, record: RunRecord, theme: Theme, i: number): Record<string, unknown> {
  const series = record.series.get(curve.name) ?? { steps: [], values: [] };
  const color = theme.series[i % theme.series.length];
  const few = series.steps.length <= 1;
  return {
    type: 'scatter',
    mode: curve.apart ? 'markers' : curve.marked || few ? 'lines+markers' : 'lines',
    name: curve.label,
    x: series.steps.slice(),
    y: series.values.slice(),
    line: { color, width: 1.5 },
    marker: { color, size: 6, symbol: ['circle', 'diamond', 'square', 'triangle-up'][i % 4] },
    hovertemplate: `${[curve.label, '%{y:,.4~r}', curve.unit].filter(Boolean).join(' ')}<extra></extra>`
  };
}

function describe(curves: Curve[], record: RunRecord): string {
  const parts = curves.map(curve => {
    const series = record.series.get(curve.name);
    if (!series || series.steps.length === 0) {
      return '';
    }
    const last = series.steps.length - 1;
    const name = curve.label || formatName(curve.name);
    return `${name} ${formatNumber(series.values[0])} at step ${series.steps[0]}, ${formatNumber(series.values[last])} at step ${series.steps[last]}.`;
  });
  return parts.join(' ') || 'No points yet.';
}
