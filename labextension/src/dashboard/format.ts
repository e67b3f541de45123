/** Numbers and words as people read them. */

/** Four significant digits; large numbers with separators. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) {
    return '–';
  }
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) {
    return value
      .toExponential(2)
      .replace(/\.?0+e/, 'e')
      .replace('-', '−')
      .replace('e−', 'e-');
  }
  if (Number.isInteger(value)) {
    return value.toLocaleString('en-US').replace('-', '−');
  }
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : size >= 0.1 ? 3 : 4;
  return value
    .toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
    .replace('-', '−');
}

/** `48 s`, `3 min 05 s`, `2 h 14 min`. */
export function formatSpan(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) {
    return `${whole} s`;
  }
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) {
    return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  }
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** Local time of day of seconds since 1970. */
export function formatClock(time: number): string {
  const when = new Date(time * 1000);
  return [when.getHours(), when.getMinutes(), when.getSeconds()]
    .map(n => String(n).padStart(2, '0'))
    .join(':');
}

/** `eval_macro_f1` → `eval macro f1`. */
export function formatName(name: string): string {
  return name.replace(/[_.]+/g, ' ').trim();
}

/** The value at a share (0 to 1) of sorted numbers, between neighbours in proportion. */
export function percentile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) {
    return NaN;
  }
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}
