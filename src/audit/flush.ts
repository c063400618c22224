/** One write at a time: whoever asks during one gets the next, which has everything noted until then. */

export function createFlush(writeAll: () => Promise<void>): () => Promise<void> {
  /** The write under way, and the one that starts after it for all who asked meanwhile. */
  let writing: Promise<void> | null = null;
  let next: Promise<void> | null = null;

  return function flush(): Promise<void> {
    if (writing === null) {
      writing = writeAll().finally(() => {
        writing = null;
      });
      return writing;
    }
    next ??= writing
      .catch(() => undefined)
      .then(() => {
        next = null;
        return flush();
      });
    return next;
  };
}
