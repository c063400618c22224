/** The log: nothing is left out silently, and no caller can fill it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { createLogger } from '../../src/observability/logger.js';
import { createRepeatedLines } from '../../src/observability/repeated-lines.js';
import { startTestService, type TestService } from '../support/harness.js';

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

function capture(onUnknownField?: (name: string) => void) {
  const lines: Line[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)) as Line);
      done();
    },
  });
  return { lines, log: createLogger({ level: 'info', destination, onUnknownField }) };
}

const parse = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);

describe('a field that is not on the allow-list', () => {
  it('is left out, and the log says so, once for each', () => {
    const { lines, log } = capture();
    for (let i = 0; i < 3; i += 1)
      log.info({ jti: 'j', password: 'canary', secret: 'canary' }, 'x');
    expect(lines.filter(({ msg }) => msg === 'x')).toEqual(
      Array.from({ length: 3 }, () => expect.objectContaining({ jti: 'j' })),
    );
    expect(lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg)).toEqual([
      'the log has no field "password": it is left out',
      'the log has no field "secret": it is left out',
    ]);
    expect(JSON.stringify(lines)).not.toContain('canary');
  });

  it('is told of, where somebody wants to know, and then not logged about', () => {
    const unknown: string[] = [];
    const { lines, log } = capture((name) => unknown.push(name));
    log.info({ scope: {}, jti: 'j' }, 'x');
    expect([unknown, lines.length]).toEqual([['scope'], 1]);
  });

  it('fails every test that logs one, when its service is closed', async () => {
    const t = await startTestService();
    const named = startWith(t);
    named('userId');
    named('colour');
    await expect(t.close()).rejects.toThrow('the log dropped colour: see ALLOWED_FIELDS');
  });

  it('is named nowhere in the source', () => {
    const src = fileURLToPath(new URL('../../src', import.meta.url));
    const unknown: string[] = [];
    const { log } = capture((name) => unknown.push(name));
    let calls = 0;
    for (const path of readdirSync(src, { recursive: true, encoding: 'utf8' })) {
      if (!path.endsWith('.ts')) continue;
      const text = readFileSync(join(src, path), 'utf8');
      for (const [, fields = ''] of text.matchAll(
        /\blog\??\s*(?:\.\w+|\[level\])\(\s*\{((?:[^{}]|\{[^{}]*\})*)\}/g,
      )) {
        calls += 1;
        // Spreads are objects that are named elsewhere: those the harness sees.
        const own = fields.replaceAll(/\{[^{}]*\}|\.\.\.[\w.?]+(?:\([^()]*\))?/g, '');
        const names = [...own.matchAll(/(?:^|,)\s*([A-Za-z]\w*)\s*(?=[:,]|$)/g)];
        log.info(Object.fromEntries(names.map(([, name = '']) => [name, 1])), path);
      }
    }
    expect(calls).toBeGreaterThan(20);
    expect(unknown).toEqual([]);
  });
});

/** Logs through the harness's own log, as the service does. */
function startWith(t: TestService) {
  return (field: string) => t.logger.info({ [field]: 1 }, 'a line of this test');
}

describe('lines that come again and again', () => {
  function counting(atOnce: number) {
    const clock = { now: 1_000_000 };
    const lines = createRepeatedLines({ clock: () => clock.now, atOnce });
    const told: string[] = [];
    const note = (kind: string) =>
      lines.note(
        kind,
        (count) => void told.push(`${kind}×${count}`),
        (count) => void told.push(`${kind}+${count}`),
      );
    return { clock, lines, told, note };
  }

  it('the first at once, then their count once a minute', () => {
    const { clock, lines, told, note } = counting(1);
    for (let i = 0; i < 1000; i += 1) note('a');
    note('b');
    expect(told).toEqual(['a×1', 'b×1']);
    clock.now += 59_999;
    note('a');
    expect(told).toHaveLength(2);
    clock.now += 1;
    note('a');
    note('a');
    // 999 and the one before the minute was over, and this one.
    expect(told).toEqual(['a×1', 'b×1', 'a×1001']);
    lines.flush();
    expect(told).toEqual(['a×1', 'b×1', 'a×1001', 'a+1']);
    lines.flush();
    expect(told).toHaveLength(4);
  });

  it('some at once, where that is wanted', () => {
    const { clock, told, note } = counting(3);
    for (let i = 0; i < 10; i += 1) note('a');
    expect(told).toEqual(['a×1', 'a×1', 'a×1']);
    clock.now += 60_000;
    note('a');
    expect(told.at(-1)).toBe('a×8');
  });

  it('a clock that was set back holds nothing back', () => {
    const { clock, told, note } = counting(1);
    note('a');
    clock.now -= 500_000;
    note('a');
    expect(told).toEqual(['a×1', 'a×1']);
  });

  it('of any number of kinds take bounded memory, and no count is lost', () => {
    const { lines, told, note } = counting(1);
    for (let i = 0; i < 25_000; i += 1) {
      note(String(i));
      if (i % 5000 === 0) note(String(i));
    }
    // Those that had to go were told of.
    expect(told.filter((line) => line.includes('+'))).toEqual(['0+1', '5000+1', '10000+1']);
    lines.flush();
    expect(told.filter((line) => line.includes('+'))).toHaveLength(5);
  });
});

describe('requests that are refused in a loop', () => {
  it('leave a hundred lines a minute of a kind, and the rest as a count', async () => {
    const t = await startTestService();
    const before = t.log().length;
    for (let i = 0; i < 40; i += 1) {
      await Promise.all(
        Array.from({ length: 10 }, () =>
          t.http().get('/v3/jwt/history').set('Authorization', 'JWT x.y.z'),
        ),
      );
    }
    // What is answered well is never counted instead.
    for (let i = 0; i < 3; i += 1) await t.http().get('/.well-known/jwks.json');
    await t.http().get('/nowhere');
    const requests = () => parse(t.log().slice(before)).filter(({ msg }) => msg === 'request');
    expect(requests().filter(({ status }) => status === 401)).toHaveLength(100);
    expect(requests().filter(({ status }) => status === 200)).toHaveLength(3);
    expect(requests().filter(({ status }) => status === 404)).toHaveLength(1);
    await t.close();
    expect(requests().filter(({ status }) => status === 401)).toHaveLength(101);
    expect(requests().find(({ count }) => count !== undefined)).toMatchObject({
      status: 401,
      method: 'GET',
      route: '/v3/jwt/history',
      address: '127.0.0.1',
      count: 300,
    });
  });
});
