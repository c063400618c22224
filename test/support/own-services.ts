/** A folder for each test, and the services that it starts there: they are ended and it is removed, whatever became of the test. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { createJti } from '../../src/tokens/jti.js';
import { mint, SECRET } from './harness.js';
import { makeFolder, removeFolder, type ServiceProcess, startProcess } from './process.js';

export const ADMIN_PASSWORD = 'the administrator of this test';

export interface OwnServices {
  folder(): string;
  dataDir(): string;
  /** With the usual settings, and these. */
  start(env?: Record<string, string>): Promise<ServiceProcess>;
  /** With nothing but these. */
  startWith(env: Record<string, string>): Promise<ServiceProcess>;
}

/** To be called where tests are declared. @param scope one folder for each test, or one for all of the block. */
export function useOwnServices(scope: 'each' | 'all' = 'each'): OwnServices {
  let folder = '';
  const running = new Set<ServiceProcess>();
  const [before, after] = scope === 'each' ? [beforeEach, afterEach] : [beforeAll, afterAll];
  before(() => {
    folder = makeFolder();
  });
  after(async () => {
    for (const service of running)
      if (service.child.exitCode === null) await service.end('SIGKILL');
    running.clear();
    removeFolder(folder);
  });

  const dataDir = () => join(folder, 'data');
  async function startWith(env: Record<string, string>): Promise<ServiceProcess> {
    const service = await startProcess(env);
    running.add(service);
    return service;
  }
  return {
    folder: () => folder,
    dataDir,
    startWith,
    start: (env = {}) =>
      startWith({ DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET, ADMIN_PASSWORD, ...env }),
  };
}

export const basicOf = (email: string, password: string) =>
  `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;
export const basic = basicOf('admin@localhost', ADMIN_PASSWORD);

/** On a connection that stays open. */
export const ask = (
  service: Pick<ServiceProcess, 'address'>,
  method: string,
  path: string,
  authorization: string,
) => fetch(`${service.address}${path}`, { method, headers: { authorization } });

/** On a connection of its own, so that a stop needn't wait for what else may come on it. */
export const askOnce = (
  service: Pick<ServiceProcess, 'address'>,
  method: string,
  path: string,
  { authorization = '', body = null as object | null } = {},
) =>
  fetch(`${service.address}${path}`, {
    method,
    headers: {
      connection: 'close',
      ...(authorization === '' ? {} : { authorization }),
      ...(body === null ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === null ? {} : { body: JSON.stringify(body) }),
  });

/** As another service that shares the secret would mint it. */
export const freshToken = (userId: string) =>
  mint({
    jti: createJti(Date.now()),
    _id: userId,
    iss: 'https://tiledesk.com',
    iat: Math.floor(Date.now() / 1000),
  });
