/** Listening: the limits on what one client may hold open, and what keeps a port from being had. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Config } from '../config/config.js';

/**
 * Node's own limits are generous.
 * @throws Error that says which port, why, and what to set instead.
 */
export async function listen(
  server: Server,
  { port, host }: Pick<Config, 'port' | 'host'>,
): Promise<void> {
  server.headersTimeout = 10_000;
  server.requestTimeout = 15_000;
  server.keepAliveTimeout = 65_000;
  // Any other number would make those past it vanish without a word; the size is limited by Node,
  // and what is too many is refused (http/request-limits.ts).
  server.maxHeadersCount = 0;
  server.maxConnections = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(describeListenError(error, port)),
    );
    server.listen(port, host, () => resolve());
  });
}

function describeListenError(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code === 'EADDRINUSE')
    return new Error(`Port ${port} is in use. Set PORT to another one.`, { cause: error });
  if (error.code === 'EACCES')
    return new Error(`Port ${port} needs more rights. Set PORT to one above 1023.`, {
      cause: error,
    });
  return new Error(`Can't listen on port ${port}: ${error.message}. Check HOST and PORT.`, {
    cause: error,
  });
}

/** As one would type it. */
export function addressOf(server: Server, host: string | undefined): string {
  const { port } = server.address() as AddressInfo;
  const name = host === undefined || host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}
