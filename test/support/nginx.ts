/** A real nginx with a configuration of the documentation, on a free port and in a folder of its own. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { makeFolder, removeFolder, until } from './process.js';

export interface Nginx {
  readonly port: number;
  stderr(): string;
  stop(): Promise<void>;
}

/** null where nginx isn't installed. */
export function findNginx(): string | null {
  const paths = ['nginx', '/usr/sbin/nginx', '/usr/local/sbin/nginx'];
  return paths.find((path) => spawnSync(path, ['-v']).status === 0) ?? null;
}

/**
 * nginx can't be asked to take a port that is free: one is found first, and another if it was taken
 * meanwhile.
 */
export async function startNginx(
  path: string,
  configuration: (at: { port: number; folder: string }) => string,
): Promise<Nginx> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      return await run(path, port, configuration);
    } catch (error) {
      if (attempt === 5 || !/Address already in use/.test(String(error))) throw error;
    }
  }
}

async function run(
  path: string,
  port: number,
  configuration: (at: { port: number; folder: string }) => string,
): Promise<Nginx> {
  const folder = makeFolder();
  // The workers of an nginx that root starts are another user.
  chmodSync(folder, 0o755);
  const conf = join(folder, 'nginx.conf');
  writeFileSync(conf, configuration({ port, folder }));
  const child = spawn(path, ['-p', folder, '-c', conf, '-g', 'daemon off;'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const closed = once(child, 'close');
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await closed;
    removeFolder(folder);
  };
  try {
    await until('nginx listens', async () => {
      if (child.exitCode !== null) throw new Error(`nginx ended: ${stderr}`);
      return isListening(port);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, stderr: () => stderr, stop };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
