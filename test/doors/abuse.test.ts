/** A short abuse in every run of the suite: fixed seeds, and one that is new each time. `npm run abuse` goes on for long. */
import { randomInt } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { abuse } from '../abuse/abuse.js';

const STEPS = 120;

it.each([1, 2, randomInt(2 ** 31)])('holds under random abuse: seed %i', async (seed) => {
  const { steps, checks } = await abuse({ seed, goesOn: (step) => step < STEPS });
  expect(steps).toBe(STEPS);
  expect(checks).toBeGreaterThan(STEPS * 2);
});
