/** What falls with a token: its session's access tokens, what was minted with any of them, and what has its id. */
import type { Clock } from '../clock.js';
import type { Store } from '../store/database/connect.js';
import type { Cutoff } from '../store/cutoffs/cutoffs.js';
import type { TokenRecord } from '../store/records.js';
import { cutoffSubjectOf, hasExpired, isCutOff, isInScope } from '../tokens/state.js';
import type { RevokingAct } from './revoking-act.js';

interface Dependencies {
  readonly tokens: Pick<Store['tokens'], 'descendantsOf' | 'findByJti' | 'mintedIn' | 'findByIds'>;
  readonly clock: Clock;
  readonly ownIssuer: string;
  readonly revokeById: (id: string, act: RevokingAct) => Promise<unknown>;
}

/** Records that are revoked side by side. */
export const AT_ONCE = 100;

export function createDescendants({ tokens, clock, ownIssuer, revokeById }: Dependencies) {
  /**
   * Only after its own revocation is durable: whoever mints asks for that once more after the child's
   * record is there (`auth/minting.ts`), so that either of the two sees the other.
   */
  async function revokeDescendants(
    record: TokenRecord,
    act: RevokingAct,
    keepMinted: boolean,
    seen = new Set([record.id]),
  ): Promise<void> {
    const { ofSession, minted } = await tokens.descendantsOf(record, ownIssuer);
    const children = (keepMinted ? ofSession : [...ofSession, ...minted]).filter(
      ({ id }) => !seen.has(id),
    );
    for (const { id } of children) seen.add(id);
    for (let at = 0; at < children.length; at += AT_ONCE) {
      await Promise.all(
        children.slice(at, at + AT_ONCE).map(async (child) => {
          await revokeUnlessOver(child, act);
          await revokeDescendants(child, act, keepMinted, seen);
        }),
      );
    }
  }

  /**
   * What is over already may still have children that aren't. One that is revoked is revoked once
   * more: who did it may not have told the others, or only be about to.
   */
  async function revokeUnlessOver(record: TokenRecord, act: RevokingAct): Promise<void> {
    if (hasExpired(record.expiresAt, clock())) return;
    await revokeById(record.id, act);
  }

  /** A record for whichever issuer means every token with its id, and what came from these. */
  async function revokeNamesakes(record: TokenRecord, act: RevokingAct): Promise<void> {
    for (const other of await tokens.findByJti(record.jti)) {
      if (other.id === record.id) continue;
      await revokeById(other.id, act);
      await revokeDescendants(other, act, false);
    }
  }

  /** A cut-off for sessions hits none of what was minted with their tokens, but it falls with them. */
  async function revokeMintedIn(cutoff: Cutoff, act: RevokingAct): Promise<void> {
    const minted = await tokens.mintedIn(cutoff);
    const parents = await tokens.findByIds(minted.flatMap(({ parentId }) => parentId ?? []));
    const hit = new Set(
      parents
        .map((parent) => ({ id: parent.id, ...cutoffSubjectOf(parent) }))
        .filter((parent) => isInScope(cutoff, parent) && isCutOff(parent, cutoff.at.getTime()))
        .map(({ id }) => id),
    );
    for (const child of minted.filter(({ parentId }) => hit.has(parentId ?? ''))) {
      await revokeUnlessOver(child, act);
      await revokeDescendants(child, act, false);
    }
  }

  return { revokeDescendants, revokeNamesakes, revokeMintedIn };
}
