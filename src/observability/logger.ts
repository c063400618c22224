/**
 * The log: JSON lines by pino. Redaction is an allow-list: a field that isn't named here never
 * reaches the log, so a new field cannot leak a secret by accident.
 */
import { pino, type DestinationStream, type Logger } from 'pino';

const ALLOWED_FIELDS = new Set([
  'address',
  'applicationId',
  'attempt',
  'by',
  'code',
  'collection',
  'count',
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
  'method',
  'ms',
  'origin',
  'outcome',
  'pending',
  'pid',
  'policy',
  'reason',
  'recordId',
  'requestId',
  'route',
  'sessionsOnly',
  'signal',
  'status',
  'stderr',
  'total',
  'traceId',
  'userAgent',
  'userId',
  'version',
  'via',
]);

export type { Logger } from 'pino';

/** `level` is one of pino's, or `silent`. */
export function createLogger(options: { level: string; destination?: DestinationStream }): Logger {
  return pino(
    {
      level: options.level,
      base: { service: 'jwt-history' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) =>
          Object.fromEntries(Object.entries(fields).filter(([name]) => ALLOWED_FIELDS.has(name))),
      },
      serializers: { err: describeError },
    },
    options.destination,
  );
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
