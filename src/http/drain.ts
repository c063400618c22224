/** Ends a server without cutting anybody off: nobody new is let in, who is there is told to go, and then the connections that nobody uses are closed. */
import type { Server } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';

export interface Drain {
  /** Resolves when there is no connection any more. @param hurry aborted = those that are left are cut off */
  end(hurry: AbortSignal): Promise<void>;
}

/** So long every client has time to ask once more, and to learn that the connection is closed. */
const TELL_MS = 750;
/** A request that takes longer is cut off. */
const FINISH_MS = 8000;
const CLOSE_IDLE_EVERY_MS = 20;

/** To be made before the server listens: it has to know every connection. */
export function createDrain(server: Server): Drain {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  /** Node takes a connection that has never sent anything for one whose request is on its way. */
  function closeIdle(): void {
    server.closeIdleConnections();
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  }

  return {
    async end(hurry) {
      server.prependListener('request', (_req, res) => {
        res.setHeader('Connection', 'close');
      });
      // The server's own close() ends idle connections at once, and a request that is on its way
      // on one of them would be answered with a reset.
      const closed = new Promise<void>((resolve) => {
        NetServer.prototype.close.call(server, () => resolve());
      });
      let closing: NodeJS.Timeout | undefined;
      const tell = setTimeout(() => {
        closing = setInterval(closeIdle, CLOSE_IDLE_EVERY_MS);
      }, TELL_MS);
      const force = setTimeout(() => server.closeAllConnections(), FINISH_MS);
      const cutOff = () => server.closeAllConnections();
      if (hurry.aborted) cutOff();
      else hurry.addEventListener('abort', cutOff, { once: true });
      await closed;
      hurry.removeEventListener('abort', cutOff);
      clearTimeout(tell);
      clearInterval(closing);
      clearTimeout(force);
    },
  };
}
