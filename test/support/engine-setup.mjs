/** Jest's global setup: builds the service and its page, and starts one embedded engine for all test files. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export default async function setUp() {
  // What the process tests start, and what serves the engine, is what ships.
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' });
  const { startEngine } = await import('../../dist/store/embedded/engine.js');
  const dataDir = mkdtempSync(join(tmpdir(), 'jwt-history-test-'));
  const engine = await startEngine({ dataDir, cacheDir: join(ROOT, 'node_modules/.cache/engine') });
  process.env['TEST_MONGODB_URI'] = engine.uri;
  globalThis.testEngine = { engine, dataDir };
}
