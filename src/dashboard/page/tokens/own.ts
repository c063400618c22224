/** The session that one is using: which token it is, and leaving when one has just revoked it. */
import type { WireToken } from '../../wire.ts';
import { session } from '../api.ts';
import { checkSession, farewell } from '../session.ts';

const WHY = 'You have revoked the session that you were using.';

export function isOwn(token: WireToken): boolean {
  return token.isThisSession || token._id === session.value?.tokenId;
}

export function leave(why = WHY): void {
  farewell.value = why;
  session.value = null;
}

/** After a revoke that may have hit it: only the service knows. */
export async function leaveIfRevoked(): Promise<void> {
  await checkSession().catch(() => undefined);
  if (session.value === null) farewell.value = WHY;
}
