/** Who a request acts for, once its credentials have been accepted. */
import type { Claims } from '../tokens/claims.js';
import type { User } from '../store/records.js';

export type Principal =
  | { readonly kind: 'password'; readonly userId: string; readonly user: User }
  | { readonly kind: 'token'; readonly userId: string; readonly claims: Claims };

declare global {
  namespace Express {
    interface User {
      readonly principal: Principal;
    }
  }
}
