/** What is to be said of each request's revokes, kept until it is answered: how many instances confirmed them. */
import type { Propagation } from './propagate.js';

export interface Propagations {
  /** Several of one request count as one: the slowest, and the least that is known. */
  note(requestId: string, propagation: Propagation): void;
  /** Of this request, if it revoked anything; once. */
  take(requestId: string): Propagation | undefined;
}

/** Of requests that nobody answers any more; what is forgotten of one that is costs it a header. */
const MOST_KEPT = 1000;

export function createPropagations(): Propagations {
  const byRequest = new Map<string, Propagation>();
  return {
    note(requestId, propagation) {
      // What the service does by itself is for no request.
      if (requestId === '') return;
      const known = byRequest.get(requestId);
      byRequest.set(requestId, known === undefined ? propagation : merged(known, propagation));
      if (byRequest.size > MOST_KEPT)
        for (const oldest of byRequest.keys()) if (byRequest.delete(oldest)) break;
    },
    take(requestId) {
      const propagation = byRequest.get(requestId);
      byRequest.delete(requestId);
      return propagation;
    },
  };
}

function merged(a: Propagation, b: Propagation): Propagation {
  return {
    instances: Math.max(a.instances, b.instances),
    confirmed: Math.min(a.confirmed, b.confirmed),
    expired: Math.max(a.expired, b.expired),
    waitMs: Math.max(a.waitMs, b.waitMs),
  };
}
