/** What can be done to one instance's link to the database, and the queue that does it to what passes in one direction. */

export type LinkMode =
  | { readonly kind: 'pass' }
  /** So many ms each way. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** What is open is closed, what is opened is closed at once. */
  | { readonly kind: 'drop' }
  /** Everything is taken, and lost; nothing is closed. */
  | { readonly kind: 'black-hole' }
  /** Everything is taken, and arrives when the link is mended: as the network does that sends again. */
  | { readonly kind: 'hold' }
  /** Half open: requests arrive, answers are lost. */
  | { readonly kind: 'lost-answers' }
  /** Half open: requests are lost, answers to earlier ones arrive. */
  | { readonly kind: 'lost-requests' };

/** What becomes of some of the writes on a link. */
export type WriteFault =
  /** Refused in the server's place, and not done. */
  | { readonly kind: 'refused'; readonly code: number; readonly codeName: string }
  /** Done, and answered with a `writeConcernError`. */
  | { readonly kind: 'concern'; readonly code: number; readonly codeName: string }
  /** Done; the connection is closed in the place of an answer. */
  | { readonly kind: 'unanswered' };

export type Direction = 'to the database' | 'from the database';

export const PASS: LinkMode = { kind: 'pass' };

/** Whether what passes now is lost. */
export function loses({ kind }: LinkMode, direction: Direction): boolean {
  if (kind === 'black-hole') return true;
  return kind === (direction === 'to the database' ? 'lost-requests' : 'lost-answers');
}

/** Whether an end that is closed is not noticed at the other one. */
export function isDark({ kind }: LinkMode): boolean {
  return kind !== 'pass' && kind !== 'delay' && kind !== 'drop';
}

export interface Queue {
  push(message: Buffer): void;
  /** To be called when the mode has changed. */
  wake(): void;
  clear(): void;
}

/** Messages in their order, each not before it is due. */
export function createQueue(mode: () => LinkMode, send: (message: Buffer) => void): Queue {
  const waiting: { readonly message: Buffer; readonly dueAt: number }[] = [];
  let timer: NodeJS.Timeout | null = null;

  function pump(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (mode().kind === 'hold') return;
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const leftMs = next.dueAt - performance.now();
      if (leftMs > 0 && mode().kind === 'delay') {
        timer = setTimeout(pump, leftMs);
        return;
      }
      waiting.shift();
      send(next.message);
    }
  }

  return {
    push(message) {
      const current = mode();
      const delayMs = current.kind === 'delay' ? current.ms : 0;
      waiting.push({ message, dueAt: performance.now() + delayMs });
      if (waiting.length === 1 || timer === null) pump();
    },
    wake: pump,
    clear() {
      waiting.length = 0;
      if (timer !== null) clearTimeout(timer);
    },
  };
}
