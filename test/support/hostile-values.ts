/** Values that no field takes, and how they are put into the place of a field's: for the tests and for `npm run attack`. */
import { z } from 'zod';
import type { Route } from './routes.js';

export const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
const lists = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
export const wide = (count: number) =>
  JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i])));
/** As JSON texts: some can't be written by JSON.stringify. */
export const HOSTILE = [
  nested(7),
  nested(200),
  nested(1500),
  nested(5000),
  lists(7),
  lists(1500),
  lists(40_000),
  wide(6000),
  `[${Array.from({ length: 6000 }, () => 1).join()}]`,
  '{"$ne":null}',
  '{"$where":"sleep(1)"}',
  '{"a":{"b\\u0000c":1}}',
  '{"__proto__":{"role":"admin"}}',
  '{"a":{"constructor":{"prototype":{"x":1}}}}',
  '{"_bsontype":"ObjectId","id":"aaaaaaaaaaaa"}',
  '[{"_bsontype":"Long"}]',
  '{"toBSON":1}',
  '{"length":1e9}',
  '1e400',
  '-1',
  '0.5',
  'true',
  '[]',
  '[null]',
  `"${'x'.repeat(60_000)}"`,
  '"a\\u0000b"',
  '"\\ud800"',
  '"$where"',
];
export const HOSTILE_TEXTS = [
  '',
  '\0',
  '\u0001',
  'x'.repeat(5000),
  '$where',
  '[object Object]',
  '{"$ne":1}',
  '-1',
];

/** The names of the fields of a schema, down to the innermost, as paths. */
export function fieldsOf(schema: unknown, path: readonly string[] = []): string[][] {
  if (!(schema instanceof z.core.$ZodType)) return [];
  const def = schema._zod.def as unknown as Record<string, unknown> & { type: string };
  const inner = [def['innerType'], def['in'], def['out'], ...((def['options'] as unknown[]) ?? [])];
  const here =
    def.type === 'object'
      ? Object.entries(def['shape'] as Record<string, unknown>).flatMap(([name, field]) => [
          [...path, name],
          ...fieldsOf(field, [...path, name]),
        ])
      : [];
  return [...here, ...inner.flatMap((each) => fieldsOf(each, path))];
}

/** What makes the other fields good, so that it is the hostile one that is looked at. */
export const GOOD: Record<string, unknown> = {
  email: 'nobody@example.com',
  loginId: 'nobody@example.com',
  password: 'wrong but long enough',
  name: 'a key',
  reason: 'left',
  selection: { ids: ['0123456789abcdef01234567'] },
  ids: ['0123456789abcdef01234567'],
  expectedCount: 0,
  asOf: '2026-03-01T12:00:00Z',
  jti: 'some-jti',
  userId: 'nobody',
  format: 'ndjson',
};

const withField = (path: readonly string[], value: string): string =>
  path.reduceRight((inner, name) => `{${JSON.stringify(name)}:${inner}}`, value);

/** The hostile member, among good ones. */
export function bodyWith(
  fields: readonly string[][],
  path: readonly string[],
  value: string,
): string {
  const names = new Set(fields.flatMap(([name = '']) => (name in GOOD ? [name] : [])));
  names.delete(path[0] ?? '');
  const others = [...names].map((name) => `${JSON.stringify(name)}:${JSON.stringify(GOOD[name])}`);
  return `{${[withField(path, value).slice(1, -1), ...others].join(',')}}`;
}

export const pathOf = ({ path }: Route) => path.replaceAll(/:\w+/g, '0123456789abcdef01234567');
