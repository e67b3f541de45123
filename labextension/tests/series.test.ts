import { append, thin } from '../src/live/series';

const curve = (count: number): { steps: number[]; values: number[] } => ({
  steps: Array.from({ length: count }, (_, i) => i + 1),
  values: Array.from({ length: count }, (_, i) => Math.sin(i / 50))
});

test('points are appended once, steps rising', () => {
  const series = curve(3);
  expect(append(series, { steps: [3, 4, 5], values: [9, 9, 9] })).toBe(false);
  expect(series.steps).toEqual([1, 2, 3, 4, 5]);
});

test('a curve never exceeds the bound and keeps its ends and its spike', () => {
  const series = curve(0);
  for (let step = 1; step <= 100_000; step += 50) {
    const steps = Array.from({ length: 50 }, (_, i) => step + i);
    append(series, { steps, values: steps.map(each => (each === 31_234 ? 99 : Math.sin(each))) });
    expect(series.steps.length).toBeLessThanOrEqual(2000);
  }
  expect(series.steps[0]).toBe(1);
  expect(series.steps[series.steps.length - 1]).toBe(100_000);
  expect(Math.max(...series.values)).toBe(99);
  expect([...series.steps].sort((a, b) => a - b)).toEqual(series.steps);
});

test('thinning keeps what is short', () => {
  expect(thin(curve(10), 20)).toEqual(curve(10));
  expect(thin(curve(5000), 100).steps.length).toBeLessThanOrEqual(100);
});
