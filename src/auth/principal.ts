/** Who a request acts for, once its credentials have been accepted. */
import type { Claims } from '../tokens/claims.js';
import type { User } from '../store/records.js';

export interface PasswordPrincipal {
  readonly kind: 'password';
  readonly userId: string;
  readonly user: User;
  /** The hash against which the password was right: whether it still is the user's can be asked. */
  readonly passwordHash: string;
}

export interface TokenPrincipal {
  readonly kind: 'token';
  readonly userId: string;
  readonly claims: Claims;
  /** A dashboard's session: when its idle time ends, unless it is used again (ms since the epoch). */
  readonly idleAt?: number;
}

export type Principal = PasswordPrincipal | TokenPrincipal;

declare global {
  namespace Express {
    interface User {
      readonly principal: Principal;
    }
  }
}
