/** The view without a browser's layout: the numbers are there before Plotly is. */

import { formatNumber, formatSpan } from '../src/dashboard/format';
import { RunFeed } from '../src/live/feed';
import { CommTransport } from '../src/live/comm';
import { showRun } from '../src/view';
import { final, RUN, snapshot, delta } from './messages';

type Listener = (content: unknown) => void;

function connect(): { tell: Listener; feed: RunFeed; sent: unknown[] } {
  const listeners = new Set<Listener>();
  const sent: unknown[] = [];
  const feed = new RunFeed(
    RUN,
    new CommTransport({
      get: () => RUN,
      send: content => sent.push(content),
      on: (_, listener) => listeners.add(listener),
      off: (_, listener) => listeners.delete(listener)
    })
  );
  return { tell: content => listeners.forEach(listener => listener(content)), feed, sent };
}

const frames = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 300));

test('numbers are shown, told to screen readers, and survive a missing Plotly', async () => {
  const host = document.body.appendChild(document.createElement('div'));
  const { tell, feed, sent } = connect();
  const stop = showRun(host, feed, { loadPlotly: () => Promise.reject(new Error('none here')) });
  tell(snapshot([1, 2, 4], { step: 4, progress: 0.04 }));
  await frames();
  expect(host.textContent).toContain('step 4 of 100');
  expect(host.querySelector('[role=progressbar]')?.getAttribute('aria-valuenow')).toBe('4');
  expect(host.querySelector('.lepton-figure-value')?.textContent).toBe('0.250');
  expect(host.querySelector('[role=img]')?.getAttribute('aria-label')).toBe(
    'Loss. train 1 at step 1, 0.250 at step 4.'
  );
  host.querySelector('button')?.click();
  expect(sent).toContainEqual({ type: 'action', run: RUN, action: 'cancel' });
  stop();
  expect(host.childElementCount).toBe(0);
});

test('text of others is never markup', async () => {
  const host = document.body.appendChild(document.createElement('div'));
  const { tell, feed } = connect();
  const stop = showRun(host, feed, { loadPlotly: () => Promise.reject(new Error('none here')) });
  const evil = '<img src=x onerror=alert(1)>';
  tell(
    snapshot([1], {
      status: 'failed',
      name: evil,
      message: evil,
      problems: [{ what: evil, do: evil }],
      metrics: { [evil]: evil },
      reports: {
        preflight: { rows: { [evil]: 1 }, warnings: [evil], label_counts: { train: { [evil]: 1 } } }
      }
    })
  );
  tell({ ...delta(1, 2), logs: [{ time: 1, level: '" onclick="', message: evil }] });
  await frames();
  expect(host.querySelector('img, [onclick]')).toBeNull();
  expect(host.textContent).toContain(evil);
  stop();
});

test('the end is told once, with the card', async () => {
  const host = document.createElement('div');
  const { tell, feed } = connect();
  const ends: string[] = [];
  showRun(host, feed, {
    loadPlotly: () => Promise.reject(new Error('none here')),
    onFinal: (card, status) => ends.push(`${status} ${card.text}`)
  });
  tell(snapshot([1]));
  tell(final(1));
  tell(final(1));
  await frames();
  expect(ends).toEqual(['succeeded done']);
});

test('numbers read well', () => {
  expect([0, 0.00002, 0.04567, 0.4567, 1.5, 24.678, 123.45, 1234.5, 4000].map(formatNumber)).toEqual([
    ...['0', '2e-5', '0.0457', '0.457', '1.500', '24.68', '123.5', '1,235', '4,000']
  ]);
  expect([0.4, 59.6, 185, 8040].map(formatSpan)).toEqual(['0 s', '1 min 00 s', '3 min 05 s', '2 h 14 min']);
});

test('a sweep shows its trials, the best one marked', async () => {
  const host = document.body.appendChild(document.createElement('div'));
  const { tell, feed } = connect();
  const stop = showRun(host, feed, { loadPlotly: () => Promise.reject(new Error('none here')) });
  const trial = (number: number, state: string, value: number | null): unknown => ({
    trial: number,
    run: `run${number}`,
    state,
    value,
    parameters: { learning_rate: number / 10000, peft: 'lora' }
  });
  const trials = [trial(1, 'complete', 0.81), trial(2, 'complete', 0.92), trial(3, 'running', null)];
  const report = { metric: 'accuracy', direction: 'maximize', total: 3, trials, best: trials[1] };
  tell(snapshot([], { kind: 'sweep', step: 2, max_steps: 3, reports: { sweep: report } }));
  await frames();
  expect(host.textContent).toContain('2 of 3 trials');
  const rows = [...host.querySelectorAll('.lepton-trials tbody tr')];
  expect(rows.map(row => row.textContent)).toHaveLength(3);
  expect(rows[1].textContent).toContain('run2complete0.9202e-4'); // and not 0.000
  expect(host.querySelector('caption')?.textContent).toBe('Trials: best accuracy so far 0.920, trial 2');
  const ended = [...trials.slice(0, 2), { ...(trial(3, 'failed', null) as object), message: 'no memory' }];
  tell(
    snapshot([], { kind: 'sweep', status: 'succeeded', reports: { sweep: { ...report, trials: ended } } })
  );
  await frames();
  expect(host.querySelector('caption')?.textContent).toBe('Trials: best accuracy 0.920, trial 2');
  expect(host.querySelector('.lepton-row-note')?.textContent).toBe('no memory');
  expect(host.querySelectorAll('.lepton-plots-one > *')).toHaveLength(1);
  stop();
});
