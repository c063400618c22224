// The one error that starting the embedded engine can end in, with a message that says what to do.

export const engineErrorCodes = ['unavailable', 'data-dir-in-use', 'open-failed'] as const;
export type EngineErrorCode = (typeof engineErrorCodes)[number];

export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;

  constructor(code: EngineErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** The engine can't run on this machine; only another database helps. */
export function unavailable(why: string, cause?: unknown): EngineError {
  const message =
    `The embedded database engine can't be had here: ${why} ` +
    'Set MONGODB_URI to a MongoDB server, or use `docker compose up`, which brings one.';
  return new EngineError('unavailable', message, cause);
}

/** Another process holds this data directory open. */
export function dataDirInUse(dataDir: string, cause?: unknown): EngineError {
  const message =
    `The data directory ${dataDir} is already open in another process. ` +
    'Stop that one, or choose another DATA_DIR.';
  return new EngineError('data-dir-in-use', message, cause);
}

/** The data directory can't be made, written or opened. */
export function openFailed(dataDir: string, why: string, cause?: unknown): EngineError {
  return new EngineError('open-failed', `Can't open the data directory ${dataDir}: ${why}`, cause);
}

/**
 * The engine ended itself: it couldn't write its files, or found them other than it had left them.
 * @param words what it said at last.
 * @param fullWith how much is free on a disk that is full; null = it isn't.
 */
export function endedItself(
  dataDir: string,
  { how, words, fullWith }: { how: string; words: string; fullWith: string | null },
): EngineError {
  const why =
    fullWith === null
      ? 'Unless its last words speak of memory or of open files (raise the limit then), files of it are missing, damaged, or from different moments (copied while it ran). ' +
        'Restore the folder from the newest backup (docs/restore.md).'
      : `The disk is full (${fullWith} free): make room and start again.`;
  const last = words === '' ? '' : ` The engine's last words: ${words}`;
  return new EngineError(
    'open-failed',
    `Can't open the database in ${dataDir}: the engine ended with ${how}. ${why}${last}`,
  );
}

/** Not killed by somebody, and not asked to. */
export function hasEndedItself({
  code,
  signal,
}: {
  code: number | null;
  signal: string | null;
}): boolean {
  return signal === null ? code !== 0 && code !== null : CRASHES.includes(signal);
}

const CRASHES = ['SIGABRT', 'SIGSEGV', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGTRAP'];

/** The text of anything thrown, for a message. */
export function messageOf(error: unknown): string {
  const isErrorLike = typeof error === 'object' && error !== null && 'message' in error;
  return String(isErrorLike ? error.message : error);
}

/** The code of an error of Node, such as ENOENT. Not by class: a test runner has its own. */
export function nodeCodeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}
