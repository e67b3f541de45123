/** Every backend that a compilation tried, the losers too, and what was picked. */

import type { Summary } from '../live/messages';
import { make, show } from './element';
import { formatNumber } from './format';
import { formatValue, isObject, makeTable } from './table';

type Row = Record<string, unknown>;

interface Field {
  title: string;
  /** What the title is short for. */
  meaning: string;
  read: (row: Row) => unknown;
  write: (value: number) => string;
}

const fixed =
  (digits: number, unit = '') =>
  (value: number): string =>
    `${value.toFixed(digits).replace('-', '−')}${unit}`;

const field = (
  name: string,
  title: string,
  meaning: string,
  write: Field['write'] = formatNumber
): Field => ({
  title,
  meaning,
  read: row => row[name],
  write
});

const unless = (not: (row: Row) => boolean, inner: Field): Field => ({
  ...inner,
  read: row => (not(row) ? null : inner.read(row))
});

function fields(metric: unknown): Field[] {
  const name = typeof metric === 'string' ? metric : 'metric';
  return [
    {
      ...field('backend', 'backend', 'Runtime and precision'),
      read: row => [row.backend, row.precision].filter(each => typeof each === 'string').join(' ')
    },
    {
      ...field('verdict', 'parity', 'Whether it answers like the trained model'),
      read: row => (isReference(row) ? 'reference' : (row.verdict ?? row.status))
    },
    field('latency_ms', 'latency', 'Median of the same batches', fixed(2, ' ms')),
    field('speedup', 'speed', 'Relative to eager fp32, measured in turns', fixed(2, ' ×')),
    field('metric', name, `${name} on the validation rows`, fixed(4)),
    unless(
      isReference,
      field('difference_points', 'drop', 'Points worse than the trained model on the same rows', fixed(2))
    ),
    unless(
      isReference,
      field('bound_points', 'at most', 'Upper end of the drop with 95 % confidence, in points', fixed(2))
    ),
    field('agreement', 'agreement', 'Share of rows with the same answer', value =>
      fixed(1, ' %')(100 * value)
    ),
    field('max_logit_difference', 'logits', 'Largest difference of a logit'),
    field('size_mb', 'size', 'On disk', fixed(0, ' MB'))
  ];
}

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
      make('p', { class: 'lepton-said' }, conclusion(report, pick)),
      rows.length > 0 ? candidateTable(rows, pick, report.main_metric) : ''
    );
    show(this.element.firstElementChild as HTMLElement, pick !== null);
  }

  private _drawn: unknown = null;
}

function candidateTable(rows: readonly Row[], pick: Row | null, metric: unknown): HTMLElement {
  const shown = fields(metric).filter(each => rows.some(row => !isNothing(each.read(row))));
  return makeTable(
    'Candidates',
    shown.map(({ title, meaning, read }) => ({
      title,
      meaning,
      isNumber: rows.some(row => typeof read(row) === 'number')
    })),
    rows.flatMap(row => {
      const cells = shown.map(({ read, write }) => {
        const value = read(row);
        return typeof value === 'number' ? write(value) : formatValue(value);
      });
      const faint = row.status !== undefined && row.status !== 'ok';
      const tried = { cells, marked: isPick(row, pick), faint };
      const reason = typeof row.reason === 'string' && !isReference(row) ? row.reason : '';
      return reason === '' ? [tried] : [tried, { cells: [reason], whole: true }];
    })
  );
}

function isNothing(value: unknown): boolean {
  return value === null || value === undefined || value === '';
}

/** `Picked openvino bf16: 2.44 × as fast as eager fp32. On 2,000 test rows: pass (and why).` */
function conclusion(report: Row, pick: Row | null): string {
  if (pick === null) {
    return '';
  }
  const speedup =
    typeof pick.speedup === 'number' ? `: ${fixed(2)(pick.speedup)} × as fast as eager fp32` : '';
  const picked = `Picked ${formatValue(pick.backend)} ${formatValue(pick.precision)}${speedup}.`;
  const test = report.test;
  if (!isObject(test)) {
    return picked;
  }
  const reason = typeof test.reason === 'string' && test.reason !== '' ? ` (${test.reason})` : '';
  return `${picked} On ${formatValue(report.test_rows)} test rows: ${formatValue(test.verdict)}${reason}.`;
}

/** The trained model itself, which every candidate is compared with. */
function isReference(row: Row): boolean {
  return row.backend === 'eager' && row.precision === 'fp32';
}

function isPick(row: Row, pick: Row | null): boolean {
  return pick !== null && row.backend === pick.backend && row.precision === pick.precision;
}
