/**
 * One run, kept up to date over a transport: watches, and asks again after a gap.
 */

import type { ClientMessage, ServerMessage } from './messages';
import { RunRecord } from './record';
import { Listeners, type Connection, type Transport } from './transport';

export class RunFeed {
  readonly record = new RunRecord();
  connection: Connection = 'connecting';

  constructor(
    readonly run: string,
    private readonly _transport: Transport
  ) {
    this._stops.push(
      _transport.onMessage(message => this._receive(message)),
      _transport.onConnection(state => this._connect(state))
    );
  }

  /** Listen to changes of `record` and `connection`; the answer stops listening. */
  onChange(listener: () => void): () => void {
    return this._changes.add(listener);
  }

  /** Ask the run to stop. Rejects when the request did not arrive. */
  async cancel(): Promise<void> {
    await this._transport.send({ type: 'action', run: this.run, action: 'cancel' });
  }

  dispose(): void {
    for (const stop of this._stops) {
      stop();
    }
    this._changes.clear();
    this._tell({ type: 'unwatch', run: this.run });
    this._transport.dispose();
  }

  private _connect(state: Connection): void {
    this.connection = state;
    if (state === 'open') {
      this._watch();
    }
    this._changes.tell();
  }

  private _receive(message: ServerMessage): void {
    if (message.run !== this.run) {
      return;
    }
    const outcome = this.record.apply(message);
    if (message.type === 'snapshot') {
      this._asked = false;
    }
    if (outcome === 'gap' && !this._asked) {
      this._watch();
    }
    if (outcome === 'taken') {
      this._changes.tell();
    }
  }

  private _watch(): void {
    this._asked = true;
    this._tell({ type: 'watch', run: this.run });
  }

  /** Send what needs no answer: a lost `watch` is sent again when the connection is back. */
  private _tell(message: ClientMessage): void {
    this._transport.send(message).catch(() => {
      this._asked = false;
    });
  }

  private _asked = false;
  private readonly _changes = new Listeners<void>();
  private readonly _stops: (() => void)[] = [];
}
