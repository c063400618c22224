/**
 * The log: JSON lines by pino. Redaction is an allow-list: a field that isn't named here never
 * reaches the log, so a new field cannot leak a secret by accident. It isn't left out silently.
 */
import { pino, type DestinationStream, type Logger } from 'pino';
import type { Clock } from '../clock.js';
import { createFailureLines, type FailureLines } from './failure-lines.js';

const ALLOWED_FIELDS = new Set([
  'account',
  'address',
  'applicationId',
  'attempt',
  'by',
  'code',
  'collection',
  'count',
  'cutoffs',
  'dataDir',
  'database',
  'delayMs',
  'engine',
  'err',
  'event',
  'events',
  'exitCode',
  'issuer',
  'jti',
  'kind',
  'lastWords',
  'method',
  'ms',
  'node',
  'origin',
  'outcome',
  'pending',
  'pid',
  'policy',
  'reason',
  'recordId',
  'requestId',
  'revoked',
  'route',
  'sessionsOnly',
  'settings',
  'signal',
  'status',
  'topology',
  'total',
  'traceId',
  'userAgent',
  'userId',
  'version',
  'via',
  'writeConcern',
]);

const MAX_WARNED = 100;

export type { Logger } from 'pino';

interface LoggerOptions {
  /** One of pino's, or `silent`. */
  readonly level: string;
  readonly destination?: DestinationStream;
  /** Told of each field that is left out, by its name; unset = the log itself says so, once for each. */
  readonly onUnknownField?: ((name: string) => void) | undefined;
  /** For how long repeated failures are counted; unset = the process's own. */
  readonly clock?: Clock;
}

/** What counts the repeated failures of each log. */
const failuresOf = new WeakMap<Logger, FailureLines>();

export function createLogger(options: LoggerOptions): Logger {
  const onUnknownField = options.onUnknownField ?? warnOnce;
  const warned = new Set<string>();
  /** Names are written by us, but they may be spread from anywhere: few, and short. */
  function warnOnce(name: string): void {
    if (warned.has(name) || warned.size >= MAX_WARNED) return;
    warned.add(name);
    log.warn(`the log has no field "${name.slice(0, 40)}": it is left out`);
  }

  function allowed(fields: Record<string, unknown>): Record<string, unknown> {
    const entries = Object.entries(fields);
    for (const [name] of entries) if (!ALLOWED_FIELDS.has(name)) onUnknownField(name);
    return Object.fromEntries(entries.filter(([name]) => ALLOWED_FIELDS.has(name)));
  }

  const failures = createFailureLines(options.clock ?? (() => performance.now()));
  const log = pino(
    {
      level: options.level,
      base: { service: 'jwt-history' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: allowed,
      },
      serializers: { err: describeError },
      hooks: {
        // A database that is away fails every request and every retry, each with a stack.
        logMethod(args, method, level) {
          failures.write(level, args, (...line) => method.apply(this, line));
        },
      },
    },
    options.destination ?? standardOutput(),
  );
  failuresOf.set(log, failures);
  return log;
}

/** Writes how many failures were counted since their last line; to be called before the log ends. */
export function flushCounts(log: Logger): void {
  failuresOf.get(log)?.flush();
}

/** A terminal that is gone, or a reader, costs the lines, not the service. */
function standardOutput(): DestinationStream {
  const stream = pino.destination(1);
  stream.on('error', () => undefined);
  return stream;
}

/** Type, code, message and stack, and the same of the causes; never an error's other properties. */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return { message: 'a value that is no Error was thrown' };
  const code = (error as { code?: unknown }).code;
  return {
    type: error.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    message: error.message,
    stack: error.stack,
    ...(error.cause !== undefined && depth < 3
      ? { cause: describeError(error.cause, depth + 1) }
      : {}),
  };
}
