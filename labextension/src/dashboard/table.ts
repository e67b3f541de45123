/** Tables of plain values. */

import { make, type Child } from './element';
import { formatName, formatNumber } from './format';

/** A value in a few words. */
export function formatValue(value: unknown): string {
  if (value === null || value === undefined || value === '') {
    return '–';
  }
  if (typeof value === 'number') {
    return formatNumber(value);
  }
  if (typeof value === 'boolean') {
    return value ? 'yes' : 'no';
  }
  if (typeof value === 'string') {
    return value;
  }
  if (Array.isArray(value)) {
    return value.map(formatValue).join(', ');
  }
  return Object.entries(value as Record<string, unknown>)
    .map(([key, each]) => `${formatName(key)} ${formatValue(each)}`)
    .join(', ');
}

/** Values of one column; numbers get as many digits as the largest needs, so that they line up. */
export function formatColumn(values: readonly unknown[]): string[] {
  const numbers = values.filter(
    (value): value is number => typeof value === 'number' && Number.isFinite(value)
  );
  const most = Math.max(0, ...numbers.map(Math.abs));
  const least = Math.min(Infinity, ...numbers.map(Math.abs).filter(size => size > 0));
  // Three digits behind the point must show the least of them, too.
  if (numbers.every(Number.isInteger) || most >= 1e9 || (most < 1 && least < 0.01)) {
    return values.map(formatValue);
  }
  const digits = most >= 1000 ? 0 : most >= 100 ? 1 : most >= 10 ? 2 : 3;
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return values.map(value =>
    typeof value === 'number' ? value.toLocaleString('en-US', options).replace('-', '−') : formatValue(value)
  );
}

export interface Column {
  title: string;
  /** Said when the title is pointed at. */
  meaning?: string;
  /** Numbers stand to the right, under each other. */
  isNumber?: boolean;
}

export interface TableRow {
  cells: readonly Child[];
  /** The one that was picked. */
  marked?: boolean;
  /** One that does not count. */
  faint?: boolean;
  /** One cell across all columns, about the row before. */
  whole?: boolean;
}

/** A table with a caption. */
export function makeTable(
  caption: string,
  columns: readonly Column[],
  rows: readonly TableRow[]
): HTMLElement {
  const kind = (i: number): Record<string, string> => (columns[i].isNumber ? { class: 'lepton-number' } : {});
  return make(
    'div',
    { class: 'lepton-table-frame', tabindex: '0', role: 'group', 'aria-label': caption },
    make(
      'table',
      { class: 'lepton-table' },
      make('caption', {}, caption),
      make(
        'thead',
        {},
        make(
          'tr',
          {},
          ...columns.map((column, i) =>
            make(
              'th',
              { scope: 'col', ...kind(i), ...(column.meaning ? { title: column.meaning } : {}) },
              column.title
            )
          )
        )
      ),
      make(
        'tbody',
        {},
        ...rows.map(row =>
          make(
            'tr',
            { class: rowClass(row) },
            ...row.cells.map((cell, i) =>
              make('td', row.whole ? { colspan: String(columns.length) } : kind(i), cell)
            )
          )
        )
      )
    )
  );
}

/** Names and values under each other; nested ones as text. */
export function makeList(values: Record<string, unknown>): HTMLElement {
  return make(
    'dl',
    { class: 'lepton-list' },
    ...Object.entries(values).flatMap(([name, value]) => [
      make('dt', {}, formatName(name)),
      make('dd', {}, formatValue(value))
    ])
  );
}

function rowClass(row: TableRow): string {
  if (row.whole) {
    return 'lepton-row-note';
  }
  return row.marked ? 'lepton-row-marked' : row.faint ? 'lepton-row-faint' : '';
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
