/**
 * Server-sent events on one response, by better-sse, with what it lacks: a message is encoded once
 * for all who get it, what a slow reader leaves unsent is known, and an end comes soon even then.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Connection, createEventBuffer, createSession } from 'better-sse';

export interface EventStream {
  send(message: Buffer): void;
  /** Bytes that the reader has not taken yet. */
  readonly unsent: number;
  /** Neither side has ended it. */
  readonly isOpen: boolean;
  /** Ends it in good order, with a last message; by force when the reader doesn't take it. */
  end(lastMessage?: Buffer): void;
  /** Ends it by force. */
  cut(): void;
}

interface Options {
  /** How soon a client is to come again after the connection was lost. */
  readonly retryMs: number;
  /** Once, however it ended. */
  readonly onClose: () => void;
}

const HEADERS = {
  'Content-Type': 'text/event-stream',
  // Not to be compressed either: a compressor would hold events back.
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
  Connection: 'close',
} as const;
const END_WITHIN_MS = 500;
const ANYWHERE = new URL('http://localhost/');

/** @param id becomes the client's `Last-Event-ID`; null leaves it. */
export function formatEvent(name: string, data: unknown, id: string | null): Buffer {
  const buffer = createEventBuffer();
  if (id !== null) buffer.id(id);
  return Buffer.from(buffer.event(name).data(data).dispatch().read());
}

/** Only the client's `Last-Event-ID`, without an event. */
export function formatId(id: string): Buffer {
  return Buffer.from(createEventBuffer().id(id).dispatch().read());
}

export const KEEP_ALIVE = Buffer.from(createEventBuffer().comment().dispatch().read());

/** better-sse's own connection believes the `Host` header to be a host, and fails where it is none. */
class ResponseConnection extends Connection {
  readonly url = ANYWHERE;
  readonly request: Request;
  readonly response = new Response();
  readonly res: ServerResponse;

  constructor(res: ServerResponse, signal: AbortSignal) {
    super();
    this.res = res;
    this.request = new Request(ANYWHERE, { signal });
  }

  sendHead(): void {
    // It ends with its connection: framing every message as a chunk would nearly double its cost.
    this.res.removeHeader('Transfer-Encoding');
    this.res.writeHead(200, HEADERS);
  }

  sendChunk(chunk: string): void {
    this.res.write(chunk);
  }

  cleanup(): void {
    // Nothing is held but the response.
  }
}

export async function openEventStream(
  req: IncomingMessage,
  res: ServerResponse,
  { retryMs, onClose }: Options,
): Promise<EventStream> {
  const closed = new AbortController();
  res.once('close', () => {
    closed.abort();
    onClose();
  });
  req.socket.setKeepAlive(true, 30_000);
  await createSession(new ResponseConnection(res, closed.signal), {
    retry: retryMs,
    keepAlive: null,
    trustClientEventId: false,
  });
  return {
    send(message) {
      if (res.writableEnded || res.destroyed) return;
      // Through the response each message would cork the socket, and uncork it in a tick. It has no
      // socket while an earlier request on the connection is being answered.
      (res.socket ?? res).write(message);
    },
    get unsent() {
      return res.writableLength;
    },
    get isOpen() {
      return !res.writableEnded && !res.destroyed;
    },
    end(lastMessage) {
      if (res.writableEnded || res.destroyed) return;
      // What has not been taken yet is not to be had any more.
      if (res.writableLength > 0) {
        res.destroy();
        return;
      }
      res.end(lastMessage);
      setTimeout(() => res.destroy(), END_WITHIN_MS).unref();
    },
    cut: () => void res.destroy(),
  };
}
