/** The commands `set-admin` and `user`, on the database of a service that is stopped meanwhile. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { SECRET } from '../support/harness.js';
import {
  ADMIN_PASSWORD,
  askOnce,
  basic,
  basicOf,
  useOwnServices,
} from '../support/own-services.js';
import type { ServiceProcess } from '../support/process.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

const { dataDir, start } = useOwnServices();
const commandOf =
  (name: string) =>
  (...args: string[]) =>
    run(process.execPath, [`dist/cli/${name}.js`, ...args], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET },
    });
const verify = (service: ServiceProcess, authorization: string) =>
  askOnce(service, 'GET', '/auth/verify', { authorization });

describe('a command, while the service is stopped,', () => {
  it('gives an administrator a new password while the service is stopped', async () => {
    const setAdmin = commandOf('set-admin');
    await expect(setAdmin()).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Usage'),
    });
    const before = await start();
    const body = { email: 'admin@localhost', password: ADMIN_PASSWORD };
    const signedIn = await askOnce(before, 'POST', '/auth/signin', { body });
    const { token } = (await signedIn.json()) as { token: string };
    await before.end('SIGTERM');
    const { stdout } = await setAdmin('admin@localhost');
    const password = /is now: (\S+)/.exec(stdout)?.[1] ?? '';
    const service = await start();
    await expect(setAdmin('admin@localhost')).rejects.toMatchObject({
      stderr: expect.stringContaining('already open'),
    });
    const as = (secret: string) =>
      askOnce(service, 'GET', '/admin/users', {
        authorization: basicOf('admin@localhost', secret),
      });
    expect([(await as(password)).status, (await as(ADMIN_PASSWORD)).status]).toEqual([200, 401]);
    // What was made with the old password has ended with it.
    expect((await verify(service, token)).status).toBe(401);
    await service.end('SIGTERM');
  });

  it('disables, enables and deletes a user while the service is stopped', async () => {
    const user = commandOf('user');
    expect((await user('--help')).stdout).toContain('Usage');
    for (const wrong of [[], ['disable'], ['ban', 'a@b.example'], ['disable', 'x', '--why', 'y']])
      await expect(user(...wrong)).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining('Usage'),
      });
    const body = { email: 'alice@example.com', password: ADMIN_PASSWORD };
    const signIn = (at: ServiceProcess) => askOnce(at, 'POST', '/auth/signin', { body });
    const first = await start();
    const made = await askOnce(first, 'POST', '/admin/users', { authorization: basic, body });
    expect(made.status).toBe(201);
    const { token } = (await (await signIn(first)).json()) as { token: string };
    await first.end('SIGTERM');

    await expect(user('disable', 'nobody@example.com')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('There is no user nobody@example.com'),
    });
    expect((await user('disable', 'Alice@Example.com', '--reason', 'left')).stdout).toContain(
      'is disabled',
    );
    const second = await start();
    expect((await verify(second, token)).status).toBe(401);
    expect((await signIn(second)).status).toBe(401);
    const trail = await (
      await askOnce(second, 'GET', '/admin/events', { authorization: basic })
    ).json();
    expect((trail as { events: unknown[] }).events).toContainEqual(
      expect.objectContaining({ type: 'user.disabled', by: 'system', via: 'cli', reason: 'left' }),
    );
    await second.end('SIGTERM');

    expect((await user('enable', 'alice@example.com')).stdout).toContain('is active again');
    const third = await start();
    expect((await verify(third, token)).status).toBe(401);
    expect((await signIn(third)).status).toBe(200);
    await third.end('SIGTERM');
    expect((await user('delete', 'alice@example.com')).stdout).toContain('is deleted');
    const fourth = await start();
    expect((await signIn(fourth)).status).toBe(401);
    await fourth.end('SIGTERM');
  });
});
