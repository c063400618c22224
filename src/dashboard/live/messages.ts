/** A batch of changes as viewers get it: made and encoded once for all administrators, once for each other user. */
import type { Change } from '../../audit/feed.js';
import type { Cutoff } from '../../store/cutoffs/cutoffs.js';
import { formatEvent } from './event-stream.js';
import type { TokenRecord } from '../../store/records.js';
import type { AdminWireRecord, ToAdminWire } from '../api/token-wire.js';

export interface Viewer {
  readonly userId: string;
  /** Gets everyone's changes; others get those of their own tokens. */
  readonly isAdministrator: boolean;
}

/** null = nothing of this batch is theirs. */
export type MessageFor<V extends Viewer = Viewer> = (viewer: V) => Buffer | null;

/** Beyond it a message would be large, and a list that changes so fast can't be read anyway. */
export const MAX_CHANGES = 100;

type Recorded = Extract<Change, { record: TokenRecord }>;

/** What viewers get of a change. */
export type LiveChange =
  | { readonly type: Recorded['type']; readonly token: AdminWireRecord }
  | {
      readonly type: 'scope-revoked';
      readonly cutoff: Pick<Cutoff, 'userId' | 'applicationId' | 'at'>;
    };

export function resyncMessage(id: string): Buffer {
  return formatEvent('resync', {}, id);
}

/** @param id of the last change. @throws ServiceError 503 when holders can't be looked up. */
export async function composeMessages(
  changes: readonly Change[],
  id: string,
  toWire: ToAdminWire,
): Promise<MessageFor> {
  const recorded = changes.filter((change): change is Recorded => 'record' in change);
  // Whose own session it is differs from viewer to viewer: each page knows its own.
  const tokens = await toWire(
    recorded.map(({ record }) => record),
    null,
  );
  const wires = new Map<Change, LiveChange>();
  for (const [i, token] of tokens.entries()) {
    const change = recorded[i];
    if (change !== undefined) wires.set(change, { type: change.type, token });
  }
  const message = (chosen: readonly Change[]) => {
    const wire = chosen.flatMap((change) => toWireChange(change) ?? []);
    return wire.length === 0 ? null : formatEvent('changes', wire, id);
  };

  function toWireChange(change: Change): LiveChange | undefined {
    if (change.type !== 'scope-revoked') return wires.get(change);
    const { userId, applicationId, at } = change.cutoff;
    return { type: change.type, cutoff: { userId, applicationId, at } };
  }

  function messageOf(userId: string): Buffer | null {
    // A cut-off that isn't this user's alone tells of others, but may concern their tokens too.
    if (changes.some((change) => 'cutoff' in change && change.cutoff.userId === null))
      return resyncMessage(id);
    return message(
      changes.filter((change) => concerns(change, { userId, isAdministrator: false })),
    );
  }

  let forAll: Buffer | null | undefined;
  const byUser = new Map<string, Buffer | null>();
  return function messageFor({ userId, isAdministrator }) {
    if (isAdministrator) return (forAll ??= message(changes));
    let own = byUser.get(userId);
    if (own === undefined) byUser.set(userId, (own = messageOf(userId)));
    return own;
  };
}

/** Whether it is theirs to know. */
export function concerns(change: Change, { userId, isAdministrator }: Viewer): boolean {
  if (isAdministrator || isResync(change)) return true;
  if ('record' in change) return change.record.userId === userId;
  return change.cutoff.userId === null || change.cutoff.userId === userId;
}

export function isResync(change: Change): change is Extract<Change, { type: 'resync' }> {
  return change.type === 'resync';
}

/** The most important ones, in their order: what was revoked comes before what is new. */
export function withoutExcess(changes: readonly Change[]): readonly Change[] {
  if (changes.length <= MAX_CHANGES) return changes;
  const isRevocation = ({ type }: Change) => type === 'revoked' || type === 'scope-revoked';
  const kept = new Set(
    [
      ...changes.filter(isRevocation).toReversed(),
      ...changes.filter((change) => !isRevocation(change)).toReversed(),
    ].slice(0, MAX_CHANGES),
  );
  return changes.filter((change) => kept.has(change));
}
