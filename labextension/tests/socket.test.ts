/** The shared socket against a real server that speaks HTTP and WebSocket. */

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { ServerConnection } from '@jupyterlab/services';
import WebSocket, { WebSocketServer } from 'ws';

import { RunFeed } from '../src/live/feed';
import type { ClientMessage } from '../src/live/messages';
import { LiveSocket } from '../src/live/socket';
import { delta, RUN, snapshot } from './messages';

class LabServer {
  readonly heard: ClientMessage[] = [];
  readonly requests: { method: string; url: string; token: string }[] = [];
  readonly clients = new Set<WebSocket>();
  opened = 0;
  private readonly _http: Server;
  private readonly _sockets = new WebSocketServer({ noServer: true });

  constructor(private readonly _hasExtension = true) {
    this._http = createServer((request, response) => {
      this.requests.push(what(request));
      response.writeHead(this._hasExtension ? 202 : 404, {
        'Content-Type': this._hasExtension ? 'application/json' : 'text/html'
      });
      response.end('{}');
    });
    this._http.on('upgrade', (request, socket, head) => {
      this.requests.push(what(request));
      if (!this._hasExtension) {
        socket.end('HTTP/1.1 404 Not Found\r\n\r\n');
        return;
      }
      this._sockets.handleUpgrade(request, socket, head, client => {
        this.opened += 1;
        this.clients.add(client);
        client.on('close', () => this.clients.delete(client));
        client.on('message', (data: Buffer) => {
          const message = JSON.parse(data.toString()) as ClientMessage;
          this.heard.push(message);
          if (message.type === 'watch') {
            client.send(JSON.stringify({ ...snapshot([1, 2]), run: message.run }));
          }
        });
      });
    });
  }

  async start(): Promise<ServerConnection.ISettings> {
    await new Promise<void>(resolve => this._http.listen(0, '127.0.0.1', resolve));
    const { port } = this._http.address() as AddressInfo;
    return ServerConnection.makeSettings({
      baseUrl: `http://127.0.0.1:${port}/hub/`,
      wsUrl: `ws://127.0.0.1:${port}/hub/`,
      token: 'a b',
      appendToken: true,
      WebSocket: WebSocket as unknown as ServerConnection.ISettings['WebSocket']
    });
  }

  async stop(): Promise<void> {
    this.clients.forEach(client => client.terminate());
    this._http.closeAllConnections();
    await new Promise(resolve => this._http.close(resolve));
  }
}

function what(request: IncomingMessage): { method: string; url: string; token: string } {
  return { method: request.method ?? '', url: request.url ?? '', token: request.headers.authorization ?? '' };
}

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 4000;
  while (!holds()) {
    if (Date.now() > end) {
      throw new Error('that never came');
    }
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

let server: LabServer;
let socket: LiveSocket;

async function start(hasExtension = true): Promise<void> {
  server = new LabServer(hasExtension);
  socket = new LiveSocket(await server.start());
}

const watch = (run: string): RunFeed => new RunFeed(run, socket.transport(run));

afterEach(async () => {
  socket.dispose();
  await server.stop();
});

test('all runs of a page share one socket, each hears of its own', async () => {
  await start();
  const [one, two] = [watch(RUN), watch('bbbb2222')];
  await until(() => one.record.view !== null && two.record.view !== null);
  expect(server.opened).toBe(1);
  expect(server.requests[0].url).toBe('/hub/lepton/api/live?token=a%20b');
  server.clients.forEach(client => client.send(JSON.stringify(delta(1, 3))));
  await until(() => one.record.series.get('loss')?.steps.length === 3);
  expect(two.record.series.get('loss')?.steps).toEqual([1, 2]);
});

test('a broken connection comes back and starts over', async () => {
  await start();
  const feed = watch(RUN);
  await until(() => feed.record.view !== null);
  server.clients.forEach(client => client.terminate());
  await until(() => feed.connection === 'retrying');
  await until(() => feed.connection === 'open');
  await until(() => server.heard.filter(message => message.type === 'watch').length === 2);
  expect(server.opened).toBe(2);
});

test('the last view closes the socket, and a later one opens it again', async () => {
  await start();
  const [one, two] = [watch(RUN), watch(RUN)];
  await until(() => one.record.view !== null && two.record.view !== null);
  one.dispose();
  await new Promise(resolve => setTimeout(resolve, 50));
  expect(server.heard.some(message => message.type === 'unwatch')).toBe(false);
  expect(server.clients.size).toBe(1);
  two.dispose();
  await until(() => server.clients.size === 0);
  const three = watch(RUN);
  await until(() => three.record.view !== null);
});

test('stopping is a POST with the token', async () => {
  await start();
  const feed = watch(RUN);
  await feed.cancel();
  const post = server.requests.find(request => request.method === 'POST');
  expect(post?.url.split('?')[0]).toBe(`/hub/lepton/api/runs/${RUN}/cancel`);
  expect(post?.token).toBe('token a b');
});

test('a server without our extension is said to be so, and left in peace', async () => {
  await start(false);
  const feed = watch(RUN);
  await until(() => feed.connection === 'absent');
  await expect(feed.cancel()).rejects.toThrow();
  const before = server.requests.length;
  await new Promise(resolve => setTimeout(resolve, 900));
  expect(server.requests.length).toBe(before);
});
