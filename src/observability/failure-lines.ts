/**
 * Failures that come again and again, as every retry's and every request's while the database is
 * away: of each kind only the first of a minute are written, with their stack, the others counted.
 */
import { pino, type LogFn } from 'pino';
import type { Clock } from '../clock.js';
import { createRepeatedLines } from './repeated-lines.js';

type Args = Parameters<LogFn>;

export interface FailureLines {
  /** Writes the line, or counts it. What is no failure, or the last word of a process, is always written. */
  write(level: number, args: Args, write: (...args: Args) => void): void;
  /** Writes every count that waits. */
  flush(): void;
}

const { warn: WARN = 40, error: ERROR = 50, fatal: FATAL = 60 } = pino.levels.values;
/** A warning is of what is tried again. */
const WARNINGS_A_MINUTE = 1;
/** An error is somebody's request, or a mistake of ours: some more may tell what they have in common. */
const ERRORS_A_MINUTE = 10;
const REASON = 200;

export function createFailureLines(clock: Clock): FailureLines {
  const warnings = createRepeatedLines({ clock, atOnce: WARNINGS_A_MINUTE });
  const errors = createRepeatedLines({ clock, atOnce: ERRORS_A_MINUTE });

  return {
    write(level, args, write) {
      const [fields, message] = args as readonly unknown[];
      const failure = level >= WARN && level < FATAL ? failureIn(fields) : null;
      if (failure === null) {
        write(...args);
        return;
      }
      const text = String(message);
      const reason = `${failure.name}: ${failure.message.slice(0, REASON)}`;
      const lines = level >= ERROR ? errors : warnings;
      lines.note(
        `${level} ${text}\n${kindOf(failure)}`,
        (count) => write({ ...(fields as object), ...(count > 1 ? { count } : {}) }, text),
        (count) => write({ count, reason }, text),
      );
    },
    flush() {
      warnings.flush();
      errors.flush();
    },
  };
}

function failureIn(fields: unknown): Error | null {
  if (typeof fields !== 'object' || fields === null || !('err' in fields)) return null;
  return fields.err instanceof Error ? fields.err : null;
}

/** Where it was thrown, rather than its message: that may hold a number that is never the same. */
function kindOf({ name, stack = '' }: Error): string {
  return `${name} ${/\n\s+at (.*)/.exec(stack)?.[1] ?? ''}`;
}
