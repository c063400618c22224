// The process that holds the embedded engine, so that a crash of it is not a crash of the service.
// Forked by host-process.ts with the folders to use; lives as long as the channel to its parent.

import { EngineError, messageOf } from './engine-error.js';
import type { HostReport } from './host-process.js';
import { loadEngine, type OpenEngine } from './load.js';
import { removeOwnDir, removeSocketDir } from './socket-link.js';

const CLOSE_DEADLINE_MS = 3_000;

// Password hashes are in these files; the engine itself leaves their modes to this.
process.umask(0o077);

const [databaseDir = '', cacheDir = '', linkDir = ''] = process.argv.slice(2);
let engine: OpenEngine | undefined;
let closing = false;
/** The parent is gone, and so is whoever would remove the link. */
let isOrphan = false;

// The service decides when to stop; a Ctrl-C reaches every process of the terminal's group.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP'] as const)
  process.on(signal, () => undefined);
process.on('message', (message) => message === 'stop' && close());
process.on('disconnect', () => {
  isOrphan = true;
  close();
});
// The parent may have gone while the modules were loading, before anyone listened.
if (!process.connected) process.exit();

try {
  engine = await loadEngine(cacheDir).open(databaseDir);
  // A close() that was asked for meanwhile ends what has only now been opened.
  if (closing) closeEngine(engine);
  else report({ ready: true, socketPath: engine.socketPath });
} catch (error) {
  report({ failed: true, code: failureCode(error), message: messageOf(error) }, () =>
    process.exit(),
  );
}

function close(): void {
  if (closing) return;
  closing = true;
  // A command in flight holds up the closing: then it ends by force, since a parent that is gone
  // can't read the answer. All that was acknowledged is in the journal.
  setTimeout(() => {
    if (engine) removeSocketDir(engine.socketPath);
    process.kill(process.pid, 'SIGKILL');
  }, CLOSE_DEADLINE_MS);
  if (engine) closeEngine(engine);
}

function closeEngine(opened: OpenEngine): void {
  // As long as the engine is open, nobody else can have made another one there.
  if (isOrphan && linkDir !== '') removeOwnDir(linkDir);
  void opened.close().finally(() => process.exit());
}

function report(message: HostReport, sent: () => void = () => undefined): void {
  // With a callback, a parent that is gone is no exception.
  process.send?.(message, undefined, undefined, () => sent());
}

function failureCode(error: unknown): EngineError['code'] {
  if (error instanceof EngineError) return error.code;
  return messageOf(error).includes('DBPathInUse') ? 'data-dir-in-use' : 'open-failed';
}
