/** Whatever can't be ended, the rest is. */
import { expect, it } from '@jest/globals';
import { endAll } from '../../src/process/end-all.js';

function scene(failing: readonly string[]) {
  const ended: string[] = [];
  const cleanups = ['engine', 'store', 'port'].map((name) => async () => {
    ended.push(name);
    if (failing.includes(name)) throw new Error(`the ${name} hangs`);
  });
  return { ended, cleanups };
}

it.each([
  { failing: [], says: null },
  { failing: ['port'], says: 'the port hangs' },
  { failing: ['engine'], says: 'the engine hangs' },
  { failing: ['port', 'store'], says: '2 parts did not stop' },
  { failing: ['port', 'store', 'engine'], says: '3 parts did not stop' },
])('with $failing failing, all are ended, the last first, each once', async ({ failing, says }) => {
  const { ended, cleanups } = scene(failing);
  const outcome = endAll(cleanups);
  if (says === null) await expect(outcome).resolves.toBeUndefined();
  else await expect(outcome).rejects.toThrow(says);
  expect(ended).toEqual(['port', 'store', 'engine']);
  await endAll(cleanups);
  expect(ended).toHaveLength(3);
});
