/** What was found in the data before anything was trained, folded. */

import type { Summary } from '../live/messages';
import { make, setText, show } from './element';
import { formatName, formatNumber } from './format';
import { formatValue, isObject, makeList, makeTable } from './table';

type Report = Record<string, unknown>;

/** Classes shown; the commonest. */
const MOST_LABELS = 30;

export class Preflight {
  readonly element: HTMLElement;

  constructor() {
    const summary = make('summary', {}, 'Data', this._hint);
    this.element = make('details', { class: 'lepton-fold' }, summary, this._body);
    show(this.element, false);
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
    setText(this._hint, counts(report.rows, '  ·  '));
    this._body.replaceChildren(makeList(facts(report)), labels(report) ?? '');
  }

  private readonly _hint = make('span', { class: 'lepton-fold-hint' });
  private readonly _body = make('div', { class: 'lepton-fold-body' });
  private _drawn: unknown = null;
}

/** The report in the order in which people ask; what is nothing is left out. */
function facts(report: Report): Record<string, string> {
  const source = isObject(report.source) ? report.source : {};
  const cut = Array.isArray(report.cut) ? report.cut.map(String) : [];
  const found: Record<string, string> = {
    source: formatValue(source.uri ?? null),
    licence: formatValue(report.licence ?? null),
    columns: isObject(report.mapping)
      ? Object.entries(report.mapping)
          .map(([name, column]) => (name === column ? name : `${name} ← ${formatValue(column)}`))
          .join(', ')
      : '',
    'cut from train': cut.join(', '),
    'left out': counts(report.empty_rows),
    'repeated rows': counts(report.duplicate_rows),
    'shared rows': counts(report.shared_rows),
    'label range': isObject(report.label_range) ? counts(report.label_range) : '',
    tokens: tokens(report.tokens)
  };
  const example = report.example;
  const parts = isObject(example) ? Object.entries(example) : example ? [['example', example] as const] : [];
  for (const [name, value] of parts) {
    found[name === 'example' ? 'example' : `example ${formatName(name)}`] = formatValue(value);
  }
  return Object.fromEntries(Object.entries(found).filter(([, text]) => text !== '' && text !== '–'));
}

/** `4,000 train, 1,000 test`; zeros and what is not a number are left out, nested ones are named in full. */
function counts(values: unknown, between = ', ', prefix = ''): string {
  if (!isObject(values)) {
    return '';
  }
  return Object.entries(values)
    .map(([name, value]) =>
      isObject(value)
        ? counts(value, between, `${name} `)
        : typeof value === 'number' && value !== 0
          ? `${formatNumber(value)} ${prefix}${name}`
          : ''
    )
    .filter(text => text !== '')
    .join(between);
}

function tokens(found: unknown): string {
  if (!isObject(found)) {
    return '';
  }
  const quantiles = isObject(found.quantiles) ? found.quantiles : {};
  const words: [string, unknown][] = [
    ['median', quantiles.p50],
    ['95 % up to', quantiles.p95],
    ['longest', quantiles.max]
  ];
  const parts = words
    .filter(([, value]) => typeof value === 'number')
    .map(([name, value]) => `${name} ${formatValue(value)}`);
  if (typeof found.truncated_rows === 'number' && typeof found.max_length === 'number') {
    const rows = found.truncated_rows === 0 ? 'none' : formatNumber(found.truncated_rows);
    parts.push(`${rows} cut at ${formatNumber(found.max_length)}`);
  }
  return parts.join(', ');
}

function labels(report: Report): HTMLElement | null {
  const splits = Object.entries(isObject(report.label_counts) ? report.label_counts : {}).filter(
    (pair): pair is [string, Record<string, number>] => isObject(pair[1])
  );
  if (splits.length === 0) {
    return null;
  }
  const first = splits[0][1];
  const names = Object.keys(first).sort((a, b) => first[b] - first[a]);
  const more = names.length - MOST_LABELS;
  return makeTable(
    more > 0 ? `Labels (${MOST_LABELS} of ${names.length})` : 'Labels',
    [{ title: 'label' }, ...splits.map(([split]) => ({ title: split, isNumber: true }))],
    names
      .slice(0, MOST_LABELS)
      .map(name => ({ cells: [name, ...splits.map(([, found]) => formatNumber(found[name]))] }))
  );
}
