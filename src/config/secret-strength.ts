/**
 * How hard a secret is to guess, in bits. A mixture of models predicts each character from those
 * before it: even chances over usual alphabets, and what people do (words, keyboards, repeats,
 * runs). It is a code, so a random text is as good as never much shorter in it than by even
 * chances: only what is much shorter was made by a person, and is counted as such.
 */

import {
  ALPHABETS,
  copyModel,
  frequencyModel,
  mashModel,
  OTHER,
  PRINTABLE,
  runModel,
  textModel,
  wordModel,
} from './secret-models.js';

const SWITCHES = 0.02;
/** By how many bits a text must be shorter before it counts as made by a person. */
const BEYOND_CHANCE = 28;
/** What a character of language is worth, about (Shannon). */
const OF_LANGUAGE = 1.5;
const LOOKED_AT = 512;
const LETTER_FOR: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
};
const UUID = /[\da-f]{8}-[\da-f]{4}-([\da-f])[\da-f]{3}-[\da-f]{4}-[\da-f]{12}/gi;

/** The bits of `secret`, also if it is another text in base64 or hex. At most 512 characters are looked at. */
export function strengthOf(secret: string): number {
  let text = secret.slice(0, LOOKED_AT).trim();
  let bits = strengthOfText(text);
  for (let depth = 0; depth < 3; depth += 1) {
    const inner = decoded(text);
    if (inner === null) break;
    text = inner;
    bits = Math.min(bits, strengthOfText(text));
  }
  return Math.floor(bits);
}

function strengthOfText(text: string): number {
  const uuids = new Map<string, number>();
  const rest = text.replaceAll(UUID, (uuid, version: string) => {
    // Those of version 4 are random, the others tell mostly the time and the machine.
    uuids.set(uuid.toLowerCase(), version === '4' ? 122 : 60);
    return '';
  });
  const ofUuids = [...uuids.values()].reduce((a, b) => a + b, 0);
  if (rest === '') return ofUuids;
  return ofUuids + Math.min(...spellings(rest).map((each) => strengthOfRest([...each])));
}

/** Also with the letters that digits stand for (`s3cr3t`), unless the digits are those of a hex number. */
function spellings(text: string): string[] {
  if (/[\da-f]{16}/i.test(text)) return [text];
  return [text, text.replaceAll(/[013457@$]/g, (symbol) => LETTER_FOR[symbol] ?? symbol)];
}

function strengthOfRest(symbols: readonly string[]): number {
  const evenly = evenBits(symbols);
  const models = 6;
  const weights = Array.from(
    { length: ALPHABETS.length + models },
    () => 1 / (ALPHABETS.length + models),
  );
  let bits = 0;
  let discounted = 0;
  symbols.forEach((symbol, i) => {
    const before = symbols.slice(0, i);
    const language = [textModel(before), wordModel(before), mashModel(before)];
    const rest = [runModel(before), copyModel(before), frequencyModel(before)];
    const chances = [
      ...[...language, ...rest].map((model) => model(symbol)),
      ...ALPHABETS.map((alphabet) =>
        alphabet.has(symbol) ? 0.999 / alphabet.size : 0.001 * OTHER,
      ),
    ];
    const shares = chances.map((chance, k) => (weights[k] ?? 0) * chance);
    const total = shares.reduce((a, b) => a + b);
    const cost = -Math.log2(total);
    const ofLanguage = shares.slice(0, language.length).reduce((a, b) => a + b) / total;
    bits += cost;
    discounted += ofLanguage * Math.min(cost, OF_LANGUAGE) + (1 - ofLanguage) * cost;
    shares.forEach((share, k) => {
      weights[k] = ((1 - SWITCHES) * share) / total + SWITCHES / shares.length;
    });
  });
  return evenly - bits < BEYOND_CHANCE ? evenly : Math.min(evenly, discounted);
}

/** As if each character were drawn from the smallest usual alphabet that has them all. */
function evenBits(symbols: readonly string[]): number {
  const alphabet = ALPHABETS.find((each) => symbols.every((symbol) => each.has(symbol)));
  return alphabet
    ? symbols.length * Math.log2(alphabet.size)
    : symbols.reduce(
        (sum, symbol) => sum + (symbol >= ' ' && symbol <= '~' ? Math.log2(PRINTABLE) : 8),
        0,
      );
}

/** The text that this is in hex or base64, if it is. */
function decoded(text: string): string | null {
  const isHex = /^([\da-f]{2})+$/i.test(text);
  if (!isHex && !/^[A-Za-z0-9+/_-]{8,}={0,2}$/.test(text)) return null;
  const bytes = Buffer.from(text, isHex ? 'hex' : 'base64');
  const inner = bytes.toString('utf8');
  return /^[\t\n\r -~\u00a1-\u024f]{6,}$/.test(inner) ? inner.trim() : null;
}
