/** What people try first: `npm run demo`, and the tour in the README. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { ADMIN_PASSWORD, useOwnServices } from '../support/own-services.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

const { start } = useOwnServices();

describe('what people try first', () => {
  it('tells the whole story with `npm run demo`', async () => {
    const { stdout } = await run(process.execPath, ['dist/cli/demo.js'], {
      cwd: ROOT,
    });
    expect(stdout).toContain('"state":"revoked"');
    expect(stdout).toContain('401');
    expect(stdout).toContain('That is all.');
  });

  it('has a tour in the README that works line by line as pasted', async () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const tour = /<!-- tour -->\s+```sh\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    expect(tour).toContain('curl');
    const service = await start();
    const script = `URL='${service.address}'; EMAIL=admin@localhost; PASSWORD='${ADMIN_PASSWORD}'\n${tour}`;
    const { stdout } = await run('sh', ['-e', '-c', script]);
    expect(stdout).toContain('"state":"revoked"');
    expect(stdout.trim().split('\n').slice(-2)).toEqual([expect.stringMatching(/401$/), '200']);
    await service.end('SIGTERM');
  });
});
