/**
 * The server's WebSocket: one a page, shared by every run on it.
 */

import { ServerConnection } from '@jupyterlab/services';

import type { ClientMessage, ServerMessage } from './messages';
import { Listeners, type Connection, type Transport } from './transport';

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
/** A connection that says nothing for this long after it was asked is given up. */
const ANSWER_MS = 5_000;

export class LiveSocket {
  constructor(private readonly _settings: ServerConnection.ISettings) {
    window.addEventListener('online', this._check);
    document.addEventListener('visibilitychange', this._check);
  }

  /** The messages of one run. The connection is made with the first and ends with the last. */
  transport(run: string): Transport {
    const messages = new Listeners<ServerMessage>();
    const states = new Listeners<Connection>();
    const view: View = { run, messages, states };
    this._views.add(view);
    if (this._socket === null && this._timer === null) {
      this._state = 'connecting';
      this._open();
    }
    return {
      send: message => this._send(message, view),
      onMessage: listener => messages.add(listener),
      onConnection: listener => {
        const stop = states.add(listener);
        listener(this._state);
        return stop;
      },
      dispose: () => {
        messages.clear();
        states.clear();
        this._views.delete(view);
        if (this._views.size === 0) {
          this._close();
        }
      }
    };
  }

  dispose(): void {
    window.removeEventListener('online', this._check);
    document.removeEventListener('visibilitychange', this._check);
    this._views.clear();
    this._close();
  }

  private async _send(message: ClientMessage, view: View): Promise<void> {
    if (message.type === 'action') {
      await this._act(message.run, message.action);
      return;
    }
    const shared = [...this._views].some(other => other !== view && other.run === view.run);
    if (message.type === 'unwatch' && shared) {
      return;
    }
    if (this._socket?.readyState === OPEN) {
      this._socket.send(JSON.stringify(message));
    }
  }

  private async _act(run: string, action: string): Promise<void> {
    const url = `${this._base()}/runs/${encodeURIComponent(run)}/${action}`;
    const response = await ServerConnection.makeRequest(url, { method: 'POST', body: '{}' }, this._settings);
    if (!response.ok) {
      throw new ServerConnection.ResponseError(response);
    }
  }

  private _open(): void {
    const { wsUrl, token, appendToken, WebSocket } = this._settings;
    let url = `${wsUrl.replace(/\/$/, '')}/lepton/api/live`;
    if (appendToken && token) {
      url += `?token=${encodeURIComponent(token)}`;
    }
    const socket = new WebSocket(url);
    this._socket = socket;
    socket.onopen = () => {
      this._failures = 0;
      this._change('open');
    };
    socket.onmessage = event => {
      this._heardAt = Date.now();
      this._receive(event.data);
    };
    socket.onerror = () => undefined; // `close` follows and says all there is to say
    socket.onclose = () => {
      if (this._socket === socket) {
        this._socket = null;
        void this._lost();
      }
    };
  }

  private _receive(data: unknown): void {
    const message = JSON.parse(String(data)) as ServerMessage;
    for (const view of [...this._views]) {
      if (view.run === message.run) {
        view.messages.tell(message);
      }
    }
  }

  private async _lost(): Promise<void> {
    this._failures += 1;
    const wasOpen = this._state === 'open';
    if (!wasOpen && this._failures === 1 && !(await this._exists())) {
      this._change('absent');
      return;
    }
    if (this._views.size === 0 || this._socket !== null || this._timer !== null) {
      return;
    }
    this._change('retrying');
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (this._failures - 1));
    this._timer = setTimeout(() => this._retry(), delay * (0.75 + Math.random() / 2));
  }

  private _retry(): void {
    if (this._timer !== null) {
      clearTimeout(this._timer);
      this._timer = null;
    }
    this._open();
  }

  /** A browser does not say why a socket was refused; a plain request does. */
  private async _exists(): Promise<boolean> {
    const url = `${this._base()}/runs/${encodeURIComponent([...this._views][0]?.run ?? '-')}`;
    try {
      const response = await ServerConnection.makeRequest(url, {}, this._settings);
      const isJson = response.headers.get('content-type')?.includes('json') ?? false;
      return response.ok || isJson || response.status !== 404;
    } catch {
      return true; // no answer at all: the server is away and may come back
    }
  }

  /** After sleep or a lost network a socket may look open and be dead: ask, and give it up if it is silent. */
  private readonly _check = (): void => {
    if (document.hidden || this._views.size === 0) {
      return;
    }
    if (this._timer !== null) {
      this._retry();
      return;
    }
    const socket = this._socket;
    const asked = Date.now();
    if (socket?.readyState !== OPEN || asked - this._heardAt < 2 * ANSWER_MS) {
      return;
    }
    for (const run of new Set([...this._views].map(view => view.run))) {
      socket.send(JSON.stringify({ type: 'watch', run }));
    }
    setTimeout(() => {
      if (this._socket === socket && this._heardAt < asked) {
        this._socket = null;
        socket.close();
        void this._lost();
      }
    }, ANSWER_MS);
  };

  private _change(state: Connection): void {
    this._state = state;
    for (const view of [...this._views]) {
      view.states.tell(state);
    }
  }

  private _close(): void {
    if (this._timer !== null) {
      clearTimeout(this._timer);
      this._timer = null;
    }
    const socket = this._socket;
    this._socket = null;
    this._failures = 0;
    socket?.close();
  }

  private _base(): string {
    return `${this._settings.baseUrl.replace(/\/$/, '')}/lepton/api`;
  }

  private _socket: WebSocket | null = null;
  private _state: Connection = 'connecting';
  private _timer: ReturnType<typeof setTimeout> | null = null;
  private _failures = 0;
  private _heardAt = 0;
  private readonly _views = new Set<View>();
}

interface View {
  run: string;
  messages: Listeners<ServerMessage>;
  states: Listeners<Connection>;
}

const OPEN = 1;
