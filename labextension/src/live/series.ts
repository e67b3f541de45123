/**
 * Curves that only grow, kept under a bound.
 */

import type { Series } from './messages';

/** No curve on a page has more points than this. */
export const MAX_POINTS = 2000;

/**
 * Append points in place. A step that is not after the last one is left out.
 *
 * Returns whether points that were there before are gone, because the bound was reached.
 */
export function append(series: Series, more: Series, maxPoints: number = MAX_POINTS): boolean {
  const { steps, values } = series;
  for (let i = 0; i < more.steps.length; i++) {
    if (steps.length === 0 || more.steps[i] > steps[steps.length - 1]) {
      steps.push(more.steps[i]);
      values.push(more.values[i]);
    }
  }
  if (steps.length <= maxPoints) {
    return false;
  }
  const thinned = thin(series, Math.floor(maxPoints / 2));
  series.steps = thinned.steps;
  series.values = thinned.values;
  return true;
}

/**
 * At most `points` of a curve: first, last, and the lowest and highest of equal parts between,
 * so that spikes stay.
 */
export function thin(series: Series, points: number): Series {
  const { steps, values } = series;
  const last = steps.length - 1;
  if (steps.length <= points) {
    return { steps: steps.slice(), values: values.slice() };
  }
  const parts = Math.max(1, Math.floor((points - 2) / 2));
  const kept = [0];
  for (let part = 0; part < parts; part++) {
    const from = 1 + Math.floor((part * (last - 1)) / parts);
    const to = 1 + Math.floor(((part + 1) * (last - 1)) / parts);
    let low = from;
    let high = from;
    for (let i = from; i < to; i++) {
      low = values[i] < values[low] ? i : low;
      high = values[i] > values[high] ? i : high;
    }
    if (from < to) {
      kept.push(Math.min(low, high));
      if (low !== high) {
        kept.push(Math.max(low, high));
      }
    }
  }
  kept.push(last);
  return { steps: kept.map(i => steps[i]), values: kept.map(i => values[i]) };
}
