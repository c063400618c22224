/** What predicts the next character of a secret: each is a distribution, given the characters before. */

/** The chance of a character, with those before it known. */
export type Distribution = (symbol: string) => number;

/** From the smallest to the largest, as generators use them. */
export const ALPHABETS = [
  '0-9',
  '0-9a-f',
  '0-9A-F',
  'a-z',
  'a-z0-9',
  'A-Z0-9',
  'A-Za-z',
  'A-Za-z0-9',
  'A-Za-z0-9+/=_-',
  ' -~',
].map((ranges) => {
  const symbols = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
  const pattern = new RegExp(`^[${ranges}]$`);
  return new Set(symbols.filter((symbol) => pattern.test(symbol)));
});
export const PRINTABLE = 95;
/** Chance of a character outside ASCII: one of a few thousand. */
export const OTHER = 1 / 4096;
/** Chance of each letter after each letter, then of the first: half bits, in base 36. English, mostly. */
const AFTER = [
  'gb99gdae9hc695iai686bbdgae',
  '5bgg5jig7gi6hf6ij7bf7gijai',
  '6ibh6ih68j79ih5jh9e79hjjdi',
  '7ffa4dcf5ghbde7hi98f9edjah',
  '8e96adcfcig8a6ecg569fbdcbe',
  '7igi67ef5jg8gg5ij7f97hijcj',
  '6fie5fa67ii9fa6ij7ad8jhjcj',
  '5eig4gje5ghedd5ijae89jfjbj',
  '9d7a8c9iiie8a47cha77gaifid',
  '4iee5jgd9iaggf4giehj4gjeej',
  '7eig3ehc4hgac89gkc7eciejai',
  '6ef95dgh6jd6di7ejgabaegj8j',
  '49cj4hji6jjg9f67jgai9jijbj',
  '8f876d5g8gbefb8hih76cehjcg',
  'ccaaecbechc8849aj6997a9fdh',
  '6gii5hi97jh7fi68j69a9jikdj',
  '8iiiihhjdkkjiijigihk1j6hjj',
  '6eb94ebg6iccba7dja88bdgjai',
  '9f9f5gh77jcbce79fh749ichci',
  '7gdi5gi65jibeg7fj8999jdjag',
  'aa8a9d9gaif796g9j667jgjheg',
  '6eij2fij4ijhjj8jjghighjjej',
  '4ehf5fi66ifcf86iiaaghjhjej',
  '7e6g7eib6ijefha5hdb6checaf',
  '79ab5cdf8ff9996ajb69bhbihf',
  '5ffg3ifc6kfcce8fehffbfb998',
  '8879a9a9adc98ba8f978cd9jdg',
].map((row) => {
  const chances = [...row].map((digit) => 2 ** (-Number.parseInt(digit, 36) / 2));
  const sum = chances.reduce((a, b) => a + b);
  return chances.map((chance) => chance / sum);
});
const WORDS =
  'secret token json auth signing signature sign private public session password passphrase default change replace this that your mine with the and for from need should must never please keep very super ultra really long strong secure security safe random string value example sample test testing development production environment local server service application backend node express spring django hello world admin user login access refresh encryption hash minimum least character bits there where what when have been make made only some any not one two that phrase sentence here code key jwt hmac'.split(
    ' ',
  );
const KEYBOARD = ['1234567890-=', 'qwertyuiop[]', "asdfghjkl;'", 'zxcvbnm,./', '!@#$%^&*()_+'];
/** Kinds: lower, upper, digit, separator, other. A row per kind before. */
const KINDS = [/[a-z]/, /[A-Z]/, /\d/, /[ \-_.]/];
const KIND_AFTER = [
  [0.86, 0.03, 0.03, 0.07, 0.01],
  [0.55, 0.35, 0.04, 0.05, 0.01],
  [0.15, 0.05, 0.65, 0.08, 0.07],
  [0.65, 0.17, 0.12, 0.04, 0.02],
  [0.2, 0.1, 0.2, 0.1, 0.4],
];
const IN_KIND = [26, 26, 10, 4, 29];
function kindOf(symbol: string | undefined): number {
  const kind = KINDS.findIndex((pattern) => pattern.test(symbol ?? ' '));
  return kind === -1 ? 4 : kind;
}

function letterOf(symbol: string | undefined): number {
  const code = (symbol ?? '').toLowerCase().charCodeAt(0) - 97;
  return code >= 0 && code < 26 ? code : 26;
}

/** Language: letters after letters, and kinds of characters in runs. */
export function textModel(before: readonly string[]): Distribution {
  const last = before.at(-1);
  const kinds = KIND_AFTER[kindOf(last)] ?? [];
  const letters = AFTER[letterOf(last)] ?? [];
  return (symbol) => {
    const kind = kindOf(symbol);
    const inKind =
      kind < 2
        ? (letters[letterOf(symbol)] ?? 0)
        : symbol <= '~'
          ? 1 / (IN_KIND[kind] ?? 1)
          : OTHER;
    return (kinds[kind] ?? 0) * inKind;
  };
}

/** What goes on as one of the words does. */
export function wordModel(before: readonly string[]): Distribution {
  const recent = before.slice(-12).join('').toLowerCase();
  const text = textModel(before);
  for (let from = 0; from < recent.length; from += 1) {
    const begun = recent.slice(from);
    const going = WORDS.filter((word) => word.length > begun.length && word.startsWith(begun));
    if (going.length === 0) continue;
    const upper = kindOf(before.at(-1)) === 1 && begun.length > 1;
    return (symbol) => {
      const fits = going.filter((word) => word[begun.length] === symbol.toLowerCase()).length;
      const inCase = (kindOf(symbol) === 1) === upper ? 0.9 : 0.1;
      return (0.8 * inCase * fits) / going.length + 0.2 * text(symbol);
    };
  }
  return text;
}

/** Fingers that hit about: the row in the middle most, and neighbours. */
export function mashModel(before: readonly string[]): Distribution {
  const last = before.at(-1) ?? '';
  const row = KEYBOARD.find((keys) => last !== '' && keys.includes(last.toLowerCase())) ?? '';
  const kinds = KIND_AFTER[kindOf(last)] ?? [];
  return (symbol) => {
    const near = row.includes(symbol) ? 0.25 / row.length : 0;
    const home = 'asdfghjkl'.includes(symbol) ? 0.3 / 9 : 0;
    const kind = kindOf(symbol);
    return (
      near + home + 0.45 * (kinds[kind] ?? 0) * (symbol <= '~' ? 1 / (IN_KIND[kind] ?? 1) : OTHER)
    );
  };
}

/** `aaa`, `abc`, `321`, `qwer`. */
export function runModel(before: readonly string[]): Distribution {
  const last = before.at(-1) ?? '';
  const code = last.codePointAt(0) ?? 0;
  const row = KEYBOARD.find((keys) => last !== '' && keys.includes(last.toLowerCase())) ?? '';
  const right = row[row.indexOf(last.toLowerCase()) + 1];
  return (symbol) => {
    const to = symbol.codePointAt(0) ?? 0;
    const step = to === code ? 0.3 : to === code + 1 ? 0.3 : to === code - 1 ? 0.15 : 0;
    return step + (symbol === right ? 0.15 : 0) + 0.1 * (symbol <= '~' ? 1 / PRINTABLE : OTHER);
  };
}

/** What came after the same characters before. */
export function copyModel(before: readonly string[]): Distribution {
  const even = (symbol: string) => (symbol <= '~' ? 0.9 / PRINTABLE : 0.1 * OTHER);
  const text = before.join('').toLowerCase();
  for (const length of [8, 5, 3, 2]) {
    const tail = text.slice(-length);
    if (tail.length < length) continue;
    const at = text.lastIndexOf(tail, text.length - length - 1);
    if (at === -1 || at + length >= text.length) continue;
    const next = text[at + length];
    const trust = length / (length + 1);
    return (symbol) => {
      const inCase = symbol === before[at + length] ? 0.95 : 0.05;
      return (symbol.toLowerCase() === next ? trust * inCase : 0) + (1 - trust) * even(symbol);
    };
  }
  return even;
}

/** What was frequent so far. */
export function frequencyModel(before: readonly string[]): Distribution {
  const first = 0.1;
  return (symbol) => {
    const seen = before.filter((each) => each === symbol).length;
    return (
      (seen + first * (symbol <= '~' ? 0.9 : 0.1 * PRINTABLE * OTHER)) /
      (before.length + first * PRINTABLE)
    );
  };
}
