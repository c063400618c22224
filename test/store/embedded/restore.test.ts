/** The lines of docs/restore.md, pasted as they stand: what a backup doesn't know was revoked stays refused. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createJti } from '../../../src/tokens/jti.js';
import { jtiOf, mint, SECRET } from '../../support/harness.js';
import { askOnce } from '../../support/own-services.js';
import {
  makeFolder,
  removeFolder,
  type ServiceProcess,
  startProcess,
} from '../../support/process.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

let folder: string;
const running = new Set<ServiceProcess>();
beforeEach(() => {
  folder = makeFolder();
});
afterEach(async () => {
  for (const { child, end } of running) if (child.exitCode === null) await end('SIGKILL');
  running.clear();
  removeFolder(folder);
});

async function start(): Promise<ServiceProcess> {
  const env = { DATA_DIR: join(folder, 'installation', 'data'), GLOBAL_SECRET: SECRET };
  const service = await startProcess(env);
  running.add(service);
  return service;
}
const freshToken = () =>
  mint({
    jti: createJti(Date.now()),
    _id: 'holder',
    iss: 'https://tiledesk.com',
    iat: Math.floor(Date.now() / 1000),
  });
const ask = async (service: ServiceProcess, token: string, method = 'GET', path = '') =>
  (await askOnce(service, method, path || '/auth/verify', { authorization: `JWT ${token}` }))
    .status;

function linesOf(marker: string): string {
  const text = readFileSync(join(ROOT, 'docs/restore.md'), 'utf8');
  const found = new RegExp(`<!-- ${marker} -->\\s+\`\`\`sh\\n([\\s\\S]*?)\`\`\``).exec(text)?.[1];
  if (found === undefined) throw new Error(`no lines for ${marker}`);
  return found;
}

/** In a folder that stands for the installation, where `npm run` runs what it runs here. */
async function paste(lines: string): Promise<string> {
  const cwd = join(folder, 'installation');
  const bin = join(folder, 'bin');
  mkdirSync(cwd, { recursive: true });
  mkdirSync(bin, { recursive: true });
  writeFileSync(
    join(bin, 'npm'),
    `#!/bin/sh\n[ "$1 $3" = "run --" ] || exit 9\nexec '${process.execPath}' '${ROOT}/dist/cli/'"$2".js "$4"\n`,
  );
  chmodSync(join(bin, 'npm'), 0o755);
  const env = { PATH: `${bin}:${process.env['PATH']}`, GLOBAL_SECRET: SECRET };
  return (await promisify(execFile)('sh', ['-e', '-c', lines], { cwd, env })).stdout;
}

describe('a backup', () => {
  it('is made and restored by the lines of the documentation, twice', async () => {
    const first = await start();
    const [before, since] = [freshToken(), freshToken()];
    expect(await ask(first, before, 'DELETE', `/v3/jwt/history/${jtiOf(before)}`)).toBe(200);
    await first.end('SIGTERM');
    await paste(linesOf('backup'));
    await paste(linesOf('backup'));

    const second = await start();
    expect(await ask(second, since)).toBe(204);
    expect(await ask(second, since, 'DELETE', `/v3/jwt/history/${jtiOf(since)}`)).toBe(200);
    await second.end('SIGTERM');
    const said = await paste(linesOf('restore'));
    expect(said).toContain(join(folder, 'installation', 'data'));

    const third = await start();
    expect([await ask(third, before), await ask(third, since)]).toEqual([401, 401]);
    expect(await ask(third, freshToken())).toBe(204);
    await third.end('SIGTERM');
  }, 300_000);
});
