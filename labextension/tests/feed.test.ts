import { RunFeed } from '../src/live/feed';
import type { ClientMessage, ServerMessage } from '../src/live/messages';
import { Listeners, type Connection, type Transport } from '../src/live/transport';
import { delta, final, RUN, snapshot } from './messages';

class Wire implements Transport {
  readonly sent: ClientMessage[] = [];
  readonly messages = new Listeners<ServerMessage>();
  readonly states = new Listeners<Connection>();

  send(message: ClientMessage): Promise<void> {
    this.sent.push(message);
    return Promise.resolve();
  }
  onMessage(listener: (message: ServerMessage) => void): () => void {
    return this.messages.add(listener);
  }
  onConnection(listener: (state: Connection) => void): () => void {
    return this.states.add(listener);
  }
  dispose(): void {
    this.messages.clear();
  }
  get watches(): number {
    return this.sent.filter(message => message.type === 'watch').length;
  }
}

function connect(): { wire: Wire; feed: RunFeed } {
  const wire = new Wire();
  const feed = new RunFeed(RUN, wire);
  wire.states.tell('open');
  return { wire, feed };
}

const loss = (feed: RunFeed): number[] | undefined => feed.record.series.get('loss')?.steps;

test('a snapshot and deltas in order become the record', () => {
  const { wire, feed } = connect();
  wire.messages.tell(snapshot([1, 2]));
  wire.messages.tell(delta(1, 3));
  wire.messages.tell(delta(2, 4));
  expect(loss(feed)).toEqual([1, 2, 3, 4]);
  expect(feed.record.view?.step).toBe(4);
  expect(feed.record.view?.max_steps).toBe(100);
  expect(feed.record.logs.map(line => line.message)).toEqual(['step 3', 'step 4']);
  expect(wire.watches).toBe(1);
});

test('a gap asks for a snapshot once and nothing after it is believed until that comes', () => {
  const { wire, feed } = connect();
  wire.messages.tell(snapshot([1]));
  wire.messages.tell(delta(2, 3));
  wire.messages.tell(delta(3, 4));
  expect(wire.watches).toBe(2);
  expect(loss(feed)).toEqual([1]);
  wire.messages.tell(snapshot([1, 2, 3, 4]));
  wire.messages.tell(delta(1, 5));
  expect(loss(feed)).toEqual([1, 2, 3, 4, 5]);
  wire.messages.tell(delta(3, 7));
  expect(wire.watches).toBe(3);
});

test('what is told twice is taken once', () => {
  const { wire, feed } = connect();
  wire.messages.tell(snapshot([1]));
  wire.messages.tell(delta(1, 2));
  wire.messages.tell(delta(1, 2));
  expect(loss(feed)).toEqual([1, 2]);
  expect(feed.record.logs).toHaveLength(1);
  expect(wire.watches).toBe(1);
});

test('a snapshot of a resumed run takes steps back', () => {
  const { wire, feed } = connect();
  wire.messages.tell(snapshot([1, 2, 3]));
  wire.messages.tell(snapshot([1], { attempt: 2 }));
  wire.messages.tell(delta(1, 2));
  expect(loss(feed)).toEqual([1, 2]);
});

test('a new connection watches again', () => {
  const { wire } = connect();
  wire.states.tell('retrying');
  wire.states.tell('open');
  expect(wire.watches).toBe(2);
});

test('the final message brings the card, and a run that comes back takes it away', () => {
  const { wire, feed } = connect();
  wire.messages.tell(snapshot([1]));
  wire.messages.tell(final(1));
  expect(feed.record.card).toEqual({ html: '<p>done</p>', text: 'done' });
  expect(feed.record.view?.status).toBe('succeeded');
  wire.messages.tell(snapshot([1, 2]));
  expect(feed.record.card).toBeNull();
});

test('messages about other runs are not for us', () => {
  const { wire, feed } = connect();
  wire.messages.tell({ ...snapshot([1]), run: 'other222' });
  expect(feed.record.view).toBeNull();
});

test('a refusal is kept, and the next snapshot clears it', () => {
  const { wire, feed } = connect();
  wire.messages.tell({ type: 'error', run: RUN, message: 'no such run' });
  expect(feed.record.refusal).toBe('no such run');
  wire.messages.tell(snapshot([1]));
  expect(feed.record.refusal).toBeNull();
});
