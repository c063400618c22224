/** What FusionAuth's clients expect of an answer, as strictly as its typed ones: read from the type declarations of its own client. */
import { readFileSync } from 'node:fs';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

interface Interface {
  readonly base: string | null;
  readonly fields: ReadonlyMap<string, string>;
  /** The type of whatever else there may be; null = nothing else. */
  readonly others: string | null;
}

const interfaces = readInterfaces(
  readFileSync(
    new URL(
      '../../node_modules/@fusionauth/typescript-client/build/src/FusionAuthClient.d.ts',
      import.meta.url,
    ),
    'utf8',
  ),
);

function readInterfaces(source: string): ReadonlyMap<string, Interface> {
  const found = new Map<string, Interface>();
  for (const [, name = '', base = null, body = ''] of source.matchAll(
    /^export interface (\w+)(?: extends (\w+))? \{\n(.*?)^\}/gms,
  )) {
    const fields = new Map<string, string>();
    for (const [, field = '', type = ''] of body.matchAll(/^ {4}(\w+)\?: (.+);$/gm))
      fields.set(field, type);
    found.set(name, {
      base,
      fields,
      others: /^ {4}\[\w+: string\]: (.+);$/m.exec(body)?.[1] ?? null,
    });
  }
  return found;
}

function typeOf(name: string, field: string): string | null {
  const declared = interfaces.get(name);
  if (declared === undefined) return null;
  return (
    declared.fields.get(field) ??
    (declared.base === null ? null : typeOf(declared.base, field)) ??
    declared.others
  );
}

/**
 * What a strict parser would not take, each with its place; [] = nothing. A field that the type
 * doesn't have is a fault too.
 * @param seen collects the places that were parsed as UUIDs.
 */
export function faultsOf(type: string, value: unknown, seen: Set<string>, place = type): string[] {
  const list = /^Array<(.+)>$/.exec(type)?.[1];
  if (list !== undefined) {
    if (!Array.isArray(value)) return [`${place} is no array`];
    return value.flatMap((each) => faultsOf(list, each, seen, `${place}[]`));
  }
  if (type === 'any' || type.startsWith('Record<')) return [];
  if (type === 'UUID') {
    seen.add(place);
    return typeof value === 'string' && UUID.test(value) ? [] : [`${place} is no UUID`];
  }
  if (!interfaces.has(type)) {
    if (!['string', 'number', 'boolean'].includes(type)) return [`${place} has the type ${type}`];
    return typeof value === type ? [] : [`${place} is no ${type}`];
  }
  if (typeof value !== 'object' || value === null) return [`${place} is no object`];
  return Object.entries(value).flatMap(([field, each]) => {
    const declared = typeOf(type, field);
    return declared === null
      ? [`${place}.${field} is unknown`]
      : faultsOf(declared, each, seen, `${place}.${field}`);
  });
}
