/** How a variable's text is read: each kind of value, and what its refusal says. */
import { z } from 'zod';

const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;
const MAX_SECONDS = 100 * 365 * UNITS.d;

/** Seconds from `900`, `15m`, `12h`, `30d`. */
export const duration = z.string().transform((value, context) => {
  const match = /^(\d{1,10})([smhd]?)$/.exec(value);
  const seconds = match ? Number(match[1]) * UNITS[(match[2] || 's') as keyof typeof UNITS] : NaN;
  if (seconds <= MAX_SECONDS) return seconds;
  context.addIssue({
    code: 'custom',
    message: 'give seconds, or a number with s, m, h or d (900, 15m, 30d), at most 100 years',
  });
  return z.NEVER;
});

/** Milliseconds from a short time in seconds: `0.25s`, `0.25`, `20s`, `2m`. */
export const shortTime = (maxSeconds: number) =>
  z
    .string()
    .transform((value) => {
      const match = /^(\d{1,6}(?:\.\d{1,3})?)([sm]?)$/.exec(value);
      return match ? Number(match[1]) * (match[2] === 'm' ? UNITS.m : UNITS.s) : NaN;
    })
    .refine((seconds) => seconds <= maxSeconds, {
      error: `give seconds from 0 to ${maxSeconds}, or a number with s or m (0.25s, 20s, 2m)`,
    })
    .transform((seconds) => Math.round(seconds * 1000));

export const text = z.string();
export const flag = z
  .enum(['true', 'false'], { error: 'give true or false' })
  .transform((value) => value === 'true');
export const oneOf = <const T extends readonly string[]>(values: T) =>
  z.enum(values, { error: `give one of ${values.join(', ')}` });
export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .refine((value) => /^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max, {
      error: `give a whole number from ${min} to ${max}`,
    })
    .transform(Number);
/** Tiledesk's server has winston's levels in the variable of the same name. */
const LEVELS_OF_OTHERS: Readonly<Record<string, 'debug' | 'trace'>> = {
  http: 'debug',
  verbose: 'debug',
  silly: 'trace',
};
export const logLevel = oneOf([
  'trace',
  'debug',
  'info',
  'warn',
  'error',
  'fatal',
  'silent',
  'http',
  'verbose',
  'silly',
]).transform((level) => LEVELS_OF_OTHERS[level] ?? level);
export const mongodbUri = text.regex(/^mongodb(\+srv)?:\/\/./, {
  error: 'give an address that begins with mongodb:// or mongodb+srv://',
});

/** As browsers write them: scheme, host, and the port where it isn't the usual one. */
export const origins = z.string().transform((value, context) => {
  const given = value.split(',').flatMap((each) => each.trim() || []);
  const found = given.map((each) => (isOrigin(each) ? new URL(each).origin : null));
  if (found.every((each) => each !== null)) return [...new Set(found)];
  context.addIssue({
    code: 'custom',
    message:
      'give origins, separated by commas: each https://host or https://host:port, no path, no *',
  });
  return z.NEVER;
});

function isOrigin(given: string): boolean {
  if (!/^https?:\/\/[^*?#]+$/i.test(given) || !URL.canParse(given)) return false;
  const { href, origin } = new URL(given);
  return href === `${origin}/`;
}
