import { CommTransport, plotlyOverComm, type WidgetModel } from '../src/live/comm';
import { RunFeed } from '../src/live/feed';
import { delta, RUN, snapshot } from './messages';

type Listener = (content: unknown, buffers?: unknown) => void;

class Kernel implements WidgetModel {
  readonly heard: { type: string }[] = [];
  readonly listeners = new Set<Listener>();
  get(name: string): unknown {
    return name === 'run' ? RUN : undefined;
  }
  send(content: unknown): void {
    this.heard.push(content as { type: string });
  }
  on(_: string, listener: Listener): void {
    this.listeners.add(listener);
  }
  off(_: string, listener: Listener): void {
    this.listeners.delete(listener);
  }
  tell(content: unknown, buffers?: unknown): void {
    [...this.listeners].forEach(listener => listener(content, buffers));
  }
}

test('the comm carries the same protocol', async () => {
  const kernel = new Kernel();
  const feed = new RunFeed(RUN, new CommTransport(kernel));
  expect(kernel.heard).toEqual([{ type: 'watch', run: RUN }]);
  kernel.tell(snapshot([1]));
  kernel.tell(delta(1, 2));
  expect(feed.record.series.get('loss')?.steps).toEqual([1, 2]);
  await feed.cancel();
  expect(kernel.heard[1]).toEqual({ type: 'action', run: RUN, action: 'cancel' });
  feed.dispose();
  expect(kernel.listeners.size).toBe(0);
  expect(kernel.heard[2]).toEqual({ type: 'unwatch', run: RUN });
});

test('a kernel without the bundle is an error, not silence', async () => {
  const kernel = new Kernel();
  const loading = plotlyOverComm(kernel);
  expect(kernel.heard).toEqual([{ type: 'plotly' }]);
  kernel.tell({ type: 'plotly' });
  await expect(loading).rejects.toThrow('no Plotly bundle');
});
