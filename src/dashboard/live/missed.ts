/** What a viewer who comes again has missed. */
import type { Feed } from '../../audit/feed.js';
import type { ToAdminWire } from '../api/token-wire.js';
import { composeMessages, concerns, isResync, MAX_CHANGES, type Viewer } from './messages.js';

/**
 * @param from the position that they had reached.
 * @returns one message or none; null = it can't be had, or is too much: load anew.
 * @throws ServiceError 503 when holders can't be looked up.
 */
export async function missedBetween(
  from: number,
  until: number,
  viewer: Viewer,
  { feed, toWire }: { readonly feed: Feed; readonly toWire: ToAdminWire },
): Promise<readonly Buffer[] | null> {
  const missed = feed.between(from, until)?.filter((change) => concerns(change, viewer));
  if (missed === undefined || missed.length > MAX_CHANGES || missed.some(isResync)) return null;
  const messageFor = await composeMessages(missed, feed.idOf(until), toWire);
  const message = messageFor(viewer);
  return message === null ? [] : [message];
}
