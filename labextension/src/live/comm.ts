/**
 * The widget's comm: the kernel at the other end, where our server extension is not there.
 */

import type { Plotly } from '../dashboard/plotly';
import type { ClientMessage, ServerMessage } from './messages';
import { Listeners, type Connection, type Transport } from './transport';

/** The part of anywidget's model that is used here. */
export interface WidgetModel {
  get(name: string): unknown;
  send(content: unknown): void;
  on(event: string, listener: (content: unknown, buffers?: unknown) => void): void;
  off(event: string, listener: (content: unknown, buffers?: unknown) => void): void;
}

export class CommTransport implements Transport {
  constructor(private readonly _model: WidgetModel) {
    _model.on('msg:custom', this._receive);
  }

  async send(message: ClientMessage): Promise<void> {
    this._model.send(message);
    return Promise.resolve();
  }

  onMessage(listener: (message: ServerMessage) => void): () => void {
    return this._messages.add(listener);
  }

  onConnection(listener: (state: Connection) => void): () => void {
    listener('open');
    return () => undefined;
  }

  dispose(): void {
    this._model.off('msg:custom', this._receive);
    this._messages.clear();
  }

  private readonly _receive = (content: unknown): void => {
    this._messages.tell(content as ServerMessage);
  };

  private readonly _messages = new Listeners<ServerMessage>();
}

/** Ask the kernel for the Plotly bundle; it comes as the bytes of an ES module. */
export function plotlyOverComm(model: WidgetModel): Promise<Plotly> {
  return new Promise((resolve, reject) => {
    const receive = (content: unknown, buffers?: unknown): void => {
      if ((content as { type?: string }).type !== 'plotly') {
        return;
      }
      model.off('msg:custom', receive);
      const source = (content as { source?: string }).source ?? (buffers as BufferSource[] | undefined)?.[0];
      if (source === undefined) {
        reject(new Error('The kernel has no Plotly bundle'));
        return;
      }
      const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
      import(/* webpackIgnore: true */ url)
        .then(
          (module: { default: Plotly }) => resolve(module.default),
          (reason: unknown) => reject(reason instanceof Error ? reason : new Error(String(reason)))
        )
        .finally(() => URL.revokeObjectURL(url));
    };
    model.on('msg:custom', receive);
    model.send({ type: 'plotly' });
  });
}
