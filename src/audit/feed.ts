/**
 * The feed of changes inside this process: what was issued, revoked and refused, as it happens. It
 * remembers the last thousand, so that a viewer that lost its connection gets what it missed.
 */
import { randomUUID } from 'node:crypto';
import type { TokenRecord } from '../store/records.js';
import type { InForce } from './report.js';

export type Change =
  | { readonly type: 'issued' | 'revoked' | 'refused'; readonly record: TokenRecord }
  /** Everything of a scope was revoked. */
  | { readonly type: 'scope-revoked'; readonly cutoff: InForce }
  /** More happened than is told one by one: load anew. */
  | { readonly type: 'resync' };

export interface Feed {
  publish(change: Change): void;
  /** The listener is called at once, within `publish`; it must not throw. @returns how to end it. */
  subscribe(listener: () => void): () => void;
  /** The number of the newest change; 0 = nothing has happened yet. */
  readonly newest: number;
  /** The changes after number `position` up to number `until`; null = no longer known, or never was. */
  between(position: number, until: number): readonly Change[] | null;
  /** The id under which viewers know a position. */
  idOf(position: number): string;
  /** null = not an id of this process's feed. */
  positionOf(id: string): number | null;
}

const REMEMBERED = 1000;

export function createFeed(): Feed {
  /** Positions of another process, or of an earlier life of this one, mean nothing here. */
  const boot = randomUUID().slice(0, 8);
  const listeners = new Set<() => void>();
  /** The change of number n is at n modulo REMEMBERED. */
  const ring: Change[] = [];
  let newest = 0;

  return {
    publish(change) {
      newest += 1;
      ring[newest % REMEMBERED] = change;
      for (const listener of listeners) listener();
    },

    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    get newest() {
      return newest;
    },

    between(position, until) {
      if (position > until || until > newest || newest - position > REMEMBERED) return null;
      const changes: Change[] = [];
      for (let n = position + 1; n <= until; n += 1) {
        const change = ring[n % REMEMBERED];
        if (change === undefined) return null;
        changes.push(change);
      }
      return changes;
    },

    idOf: (position) => `${boot}-${position}`,

    positionOf(id) {
      const [, ofBoot, digits] = /^([0-9a-f]{8})-(\d{1,15})$/.exec(id) ?? [];
      return ofBoot === boot ? Number(digits) : null;
    },
  };
}
