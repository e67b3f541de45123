/** Messages as the server sends them. */

import type { Delta, Final, Snapshot, Summary } from '../src/live/messages';

export const RUN = 'abcd2345';

export function summary(changed: Partial<Summary> = {}): Summary {
  return {
    run: RUN,
    kind: 'train',
    task: 'text-classification',
    model: 'sample:minilm',
    name: null,
    parent: null,
    status: 'running',
    stage: 'train',
    reason: '',
    message: '',
    problems: [],
    attempt: 1,
    created: 1,
    started: 2,
    ended: null,
    as_of: 3,
    step: 0,
    max_steps: 100,
    epoch: null,
    epochs: 2,
    progress: 0,
    seconds: 1,
    seconds_left: null,
    metrics: {},
    reports: {},
    artifacts: {},
    ...changed
  };
}

export function snapshot(steps: number[], changed: Partial<Summary> = {}): Snapshot {
  const series = { loss: { steps, values: steps.map(step => 1 / step) } };
  return { type: 'snapshot', run: RUN, sequence: 0, view: summary(changed), series, logs: [] };
}

export function delta(sequence: number, step: number): Delta {
  const append = { loss: { steps: [step], values: [1 / step] } };
  const logs = [{ time: step, level: 'info', message: `step ${step}` }];
  return { type: 'delta', run: RUN, sequence, view: { step }, append, logs };
}

export function final(sequence: number): Final {
  const view = { status: 'succeeded' as const, progress: 1 };
  return { type: 'final', run: RUN, sequence, view, html: '<p>done</p>', text: 'done' };
}
