/**
 * How messages about one run come and go. A dashboard knows nothing else of the world.
 */

import type { ClientMessage, ServerMessage } from './messages';

/**
 * `absent`: there is nobody at the other end who speaks this protocol, and asking again is of no use.
 */
export type Connection = 'connecting' | 'open' | 'retrying' | 'absent';

export interface Transport {
  /** Send, or drop when there is no connection. Rejects when an action was refused. */
  send(message: ClientMessage): Promise<void>;
  /** Listen; the answer stops listening. */
  onMessage(listener: (message: ServerMessage) => void): () => void;
  /** Listen to the state of the connection, told at once and at each change. */
  onConnection(listener: (state: Connection) => void): () => void;
  dispose(): void;
}

/** A set of listeners. */
export class Listeners<T> {
  private readonly _listeners = new Set<(value: T) => void>();

  add(listener: (value: T) => void): () => void {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  tell(value: T): void {
    for (const listener of [...this._listeners]) {
      listener(value);
    }
  }

  clear(): void {
    this._listeners.clear();
  }
}
