/** What the store says of a session of ours: for tokens that others signed for one, which no seal vouches for. */
import type { TokenStore } from '../store/tokens/tokens.js';

/** `unknown` = it has no record (any more). @throws ServiceError 503 */
export type SessionState = (sessionId: string) => Promise<'good' | 'revoked' | 'unknown'>;

export function createSessionState(findByJti: TokenStore['findByJti']): SessionState {
  return async function sessionState(sessionId) {
    const records = await findByJti(sessionId);
    if (records.some(({ revocation }) => revocation !== null)) return 'revoked';
    return records.some(({ kind }) => kind === 'refresh') ? 'good' : 'unknown';
  };
}
