/** Finds secrets in text: whole or in part, as they are, or in any of the spellings in which they might get somewhere. */
import { createHash } from 'node:crypto';

/** So many characters in a row of any spelling count as a leak. */
const WINDOW = 12;

export interface Secret {
  readonly name: string;
  readonly text: string;
}

/** What a text would look like after the usual conversions. */
export function spellingsOf(text: string): string[] {
  const bytes = Buffer.from(text, 'utf8');
  // Base64 of the text at each place that it may have within something longer, without the
  // characters that depend on its neighbours.
  const inBase64 = [0, 1, 2].flatMap((before) => {
    const padded = Buffer.concat([Buffer.alloc(before), bytes]);
    const [from, to] = [before === 0 ? 0 : 4, Math.floor(padded.length / 3) * 4];
    return [
      padded.toString('base64').slice(from, to),
      padded.toString('base64url').slice(from, to),
    ];
  });
  // What base64url text stands for, in other spellings of the same bytes.
  const decoded = Buffer.from(text, 'base64url');
  return [
    text,
    text.toLowerCase(),
    text.toUpperCase(),
    [...text].toReversed().join(''),
    encodeURIComponent(text),
    new URLSearchParams([['', text]]).toString().slice(1),
    JSON.stringify(text).slice(1, -1),
    ...inBase64,
    ...['hex', 'latin1'].map((encoding) => bytes.toString(encoding as BufferEncoding)),
    bytes.toString('hex').toUpperCase(),
    decoded.toString('hex'),
    decoded.toString('base64'),
  ];
}

/** What is stored of an opaque token, and must be nowhere else. */
export function hashesOf(text: string): string[] {
  return (['hex', 'base64', 'base64url'] as const).map((encoding) =>
    createHash('sha256').update(text).digest(encoding),
  );
}

/** @returns the names of the secrets that a text holds a part of, with that part. */
export function createLeakFinder(
  secrets: readonly Secret[],
  spell: (text: string) => readonly string[] = spellingsOf,
): (haystack: string) => Map<string, string> {
  const windows = new Map<string, string>();
  for (const { name, text } of secrets) {
    for (const spelling of spell(text)) {
      if (spelling.length < WINDOW) throw new Error(`${name} is too short to be told apart`);
      for (let i = 0; i + WINDOW <= spelling.length; i += 1)
        windows.set(spelling.slice(i, i + WINDOW), name);
    }
  }
  return (haystack) => {
    const found = new Map<string, string>();
    for (let i = 0; i + WINDOW <= haystack.length; i += 1) {
      const name = windows.get(haystack.slice(i, i + WINDOW));
      if (name !== undefined && !found.has(name))
        found.set(name, haystack.slice(Math.max(0, i - 60), i + WINDOW + 20));
    }
    return found;
  };
}
