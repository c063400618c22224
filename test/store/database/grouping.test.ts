/** Grouping: what is asked for at the same time goes together, and nobody gets an answer from before the question. */
import { expect, it } from '@jest/globals';
import { createGrouping } from '../../../src/store/database/grouping.js';

function recorded(options: { most: number; atOnce: number }) {
  const groups: (readonly number[])[] = [];
  const ends: (() => void)[] = [];
  const ask = createGrouping<number, string>(async (items) => {
    groups.push(items);
    await new Promise<void>((resolve) => ends.push(resolve));
    if (items.includes(13)) throw new Error('thirteen');
    return items.map((item) => `answer ${item}`);
  }, options);
  const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
  /** Ends the oldest group under way, and lets the next one begin. */
  const endOne = async () => {
    ends.shift()?.();
    await nextTurn();
  };
  return { groups, ask, nextTurn, endOne };
}

it('asks at once for what comes together, and later for what comes meanwhile', async () => {
  const { groups, ask, nextTurn, endOne } = recorded({ most: 3, atOnce: 1 });
  const first = [1, 2].map(ask);
  await nextTurn();
  expect(groups).toEqual([[1, 2]]);
  const second = [3, 4, 5, 6].map(ask);
  await nextTurn();
  expect(groups).toHaveLength(1);
  await endOne();
  expect(await Promise.all(first)).toEqual(['answer 1', 'answer 2']);
  expect(groups).toEqual([
    [1, 2],
    [3, 4, 5],
  ]);
  await endOne();
  await endOne();
  expect(await Promise.all(second)).toEqual(['answer 3', 'answer 4', 'answer 5', 'answer 6']);
  const last = ask(7);
  await nextTurn();
  await endOne();
  expect(await last).toBe('answer 7');
  expect(groups).toEqual([[1, 2], [3, 4, 5], [6], [7]]);
});

it('has as many groups under way as it may, and no more', async () => {
  const { groups, ask, nextTurn, endOne } = recorded({ most: 1, atOnce: 2 });
  const answers = [1, 2, 3].map(ask);
  await nextTurn();
  expect(groups).toEqual([[1], [2]]);
  await endOne();
  expect(groups).toEqual([[1], [2], [3]]);
  await endOne();
  await endOne();
  expect(await Promise.all(answers)).toEqual(['answer 1', 'answer 2', 'answer 3']);
});

it('gives a failure to everyone of its group, and goes on', async () => {
  const { ask, nextTurn, endOne } = recorded({ most: 2, atOnce: 1 });
  const answers = [13, 2, 3].map(ask);
  const outcomes = Promise.allSettled(answers);
  for (let i = 0; i < 3; i += 1) {
    await nextTurn();
    await endOne();
  }
  expect((await outcomes).map(({ status }) => status)).toEqual([
    'rejected',
    'rejected',
    'fulfilled',
  ]);
  await expect(answers[1]).rejects.toThrow('thirteen');
});

it('lets what comes later go on when a group hangs', async () => {
  const { groups, ask, nextTurn, endOne } = recorded({ most: 5, atOnce: 1 });
  const hanging = ask(1);
  await nextTurn();
  const later = ask(2);
  // Real time: a group is waited for a quarter of a second.
  while (groups.length < 2) await new Promise<void>((resolve) => setTimeout(resolve, 5));
  expect(groups).toEqual([[1], [2]]);
  await endOne();
  await endOne();
  expect(await Promise.all([hanging, later])).toEqual(['answer 1', 'answer 2']);
  const last = ask(3);
  await nextTurn();
  await endOne();
  expect(await last).toBe('answer 3');
});
