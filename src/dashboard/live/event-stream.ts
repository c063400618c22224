/**
 * Server-sent events on one response (WHATWG HTML, section 9.2). By hand, since a library's session
 * would encode a message for each reader, and hide what a slow reader leaves unsent.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

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

const HEADERS = {
  'Content-Type': 'text/event-stream',
  // Not to be compressed either: a compressor would hold events back.
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
  Connection: 'close',
} as const;
const END_WITHIN_MS = 500;

/**
 * @param name and id: of ours, without line ends; JSON has none either, so one line holds the data.
 * @param id becomes the client's `Last-Event-ID`; null leaves it.
 */
export function formatEvent(name: string, data: unknown, id: string | null): Buffer {
  const idLine = id === null ? '' : `id:${id}\n`;
  return Buffer.from(`${idLine}event:${name}\ndata:${JSON.stringify(data)}\n\n`);
}

/** Only the client's `Last-Event-ID`, without an event. */
export function formatId(id: string): Buffer {
  return Buffer.from(`id:${id}\n\n`);
}

/** A comment. */
export const KEEP_ALIVE = Buffer.from(':\n\n');

/** @param retryMs how soon a client is to come again after the connection was lost. */
export function openEventStream(
  req: IncomingMessage,
  res: ServerResponse,
  retryMs: number,
): EventStream {
  req.socket.setKeepAlive(true, 30_000);
  // It ends with its connection: framing every message as a chunk would nearly double its cost.
  res.removeHeader('Transfer-Encoding');
  res.writeHead(200, HEADERS).write(`retry:${retryMs}\n\n`);
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
