/** A client of server-sent events for tests: over a real socket, with everything it was sent kept. */
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WireChange } from '../../src/dashboard/wire.js';
import { until } from './process.js';
import type { TestService } from './harness.js';

export interface ReceivedEvent {
  readonly name: string;
  readonly data: unknown;
  /** The client's `Last-Event-ID` after it. */
  readonly id: string;
  readonly at: number;
}

export interface StreamClient {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Everything received, as text. */
  text(): string;
  readonly events: readonly ReceivedEvent[];
  lastId(): string;
  /** All changes received, in order. */
  changes(): WireChange[];
  readonly hasEnded: boolean;
  /** Stops reading, as a client that hangs. */
  pause(): void;
  close(): void;
}

/** Every connection of this file's tests: one that is paused would never see its end. */
const responses = new Set<IncomingMessage>();

export interface Listening {
  readonly address: string;
  close(): void;
}

/** Listens on a port of its own. */
export async function listen(t: TestService): Promise<Listening> {
  const server: Server = createServer(t.service.handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      for (const response of responses) response.destroy();
      server.close();
      server.closeAllConnections();
    },
  };
}

export async function openStream(
  address: string,
  headers: Record<string, string>,
  path = '/admin/events/stream',
): Promise<StreamClient> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(new URL(path, address), { headers, agent: false }, resolve).once('error', reject).end();
  });
  responses.add(response);
  let text = '';
  let rest = '';
  let id = '';
  let hasEnded = false;
  const events: ReceivedEvent[] = [];
  response.setEncoding('utf8');
  response.on('data', (chunk: string) => {
    text += chunk;
    const blocks = `${rest}${chunk}`.split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = Object.fromEntries(
        block.split('\n').map((line) => [line.split(':')[0], line.slice(line.indexOf(':') + 1)]),
      );
      id = fields['id'] ?? id;
      if (fields['data'] === undefined) continue;
      const name = fields['event'] ?? 'message';
      events.push({ name, data: JSON.parse(fields['data']), id, at: performance.now() });
    }
  });
  const onEnd = () => {
    hasEnded = true;
  };
  response.once('end', onEnd).once('close', onEnd).on('error', onEnd);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: () => text,
    events,
    lastId: () => id,
    changes: () =>
      events.filter(({ name }) => name === 'changes').flatMap(({ data }) => data as WireChange[]),
    get hasEnded() {
      return hasEnded;
    },
    pause: () => void response.pause(),
    close: () => void response.destroy(),
  };
}

/** Resolves once the client has been told its place: it misses nothing from now on. */
export async function openedStream(
  address: string,
  headers: Record<string, string>,
): Promise<StreamClient> {
  const client = await openStream(address, headers);
  if (client.status !== 200) throw new Error(`the stream was answered ${client.status}`);
  await until('the stream says where it is', () => client.lastId() !== '');
  return client;
}
