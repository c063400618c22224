/** Jest's global teardown: stops the engine of `engine-setup.mjs` and removes its folder. */
import { rmSync } from 'node:fs';

export default async function tearDown() {
  const { engine, dataDir } = globalThis.testEngine;
  await engine.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
