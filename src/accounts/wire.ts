/** A user as JSON answers show it, in Tiledesk's shape; the store gives no password to show. */
import type { User } from '../store/records.js';

export function toWireUser(user: User) {
  return {
    _id: user.id,
    email: user.email,
    firstname: user.firstname,
    lastname: user.lastname,
    emailverified: user.emailverified,
    status: user.status,
    role: user.role,
    createdAt: user.createdAt,
  };
}
