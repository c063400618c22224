// What a process said at last, on either stream: beside the news of its end it may be the reason.

import type { Readable } from 'node:stream';

const KEPT = 2_000;

export interface LastWords {
  /** The end of what was said so far, without the blanks around it. */
  text(): string;
}

/** Reads the streams to their end, so that whoever writes to them never waits. */
export function listenToLastWords(...streams: readonly (Readable | null)[]): LastWords {
  let kept = '';
  for (const stream of streams) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      kept = (kept + chunk).slice(-KEPT);
    });
  }
  return { text: () => kept.trim() };
}
