/** What is remembered of many entries: those that were used last. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { createRecent } from '../src/recent.js';

describe('the most recently used', () => {
  it('are kept, and no more of them than were asked for', () => {
    const recent = createRecent<number>(3);
    for (const [at, key] of ['a', 'b', 'c'].entries()) recent.set(key, at);
    expect([recent.get('a'), recent.peek('b'), recent.size]).toEqual([0, 1, 3]);
    recent.set('d', 3);
    expect(['a', 'b', 'c', 'd'].map((key) => recent.has(key))).toEqual([true, false, true, true]);
    recent.delete('c');
    recent.set('e', 4);
    expect([...recent].map(([key]) => key).sort()).toEqual(['a', 'd', 'e']);
  });

  it('is what a list says that is kept in the order of use, whatever is done', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const step = fc.tuple(fc.constantFrom('set', 'get', 'peek', 'delete'), key);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step), (most, steps) => {
        const recent = createRecent<string>(most);
        let expected: string[] = [];
        for (const [at, [what, name]] of steps.entries()) {
          const isKnown = expected.includes(name);
          const others = expected.filter((other) => other !== name);
          if (what === 'set') {
            recent.set(name, `${name}${at}`);
            expected = [...others, name].slice(-most);
            expect(recent.peek(name)).toBe(`${name}${at}`);
          } else if (what === 'get') {
            expect(recent.get(name) !== undefined).toBe(isKnown);
            if (isKnown) expected = [...others, name];
          } else if (what === 'peek') {
            expect(recent.peek(name) !== undefined).toBe(isKnown);
          } else {
            expect(recent.delete(name)).toBe(isKnown);
            expected = others;
          }
          expect([...recent].map(([kept]) => kept).toReversed()).toEqual(expected);
        }
      }),
    );
  });
});
