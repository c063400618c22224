/**
 * Who may do what, written anew from the README and independent of the service: users, what they
 * hold, and what each revoke takes along. The abuse asks the service and this, and compares.
 */

export interface Holder {
  readonly name: string;
  /** As lists and filters name it: `guest:…` for what isn't a user. */
  id: string;
  email: string;
  password: string;
  readonly isUser: boolean;
  readonly isAdministrator: boolean;
  status: 'active' | 'disabled' | 'deleted';
}

export interface Held {
  readonly kind: 'token' | 'session' | 'key';
  readonly jti: string;
  /** What is presented; of a session its newest refresh token. */
  text: string;
  /** Refresh tokens of this session that were exchanged, with the time of that. */
  readonly used: { readonly text: string; readonly at: number }[];
  readonly holder: Holder;
  readonly applicationId: string | null;
  /** ms; null = nobody said. Whole seconds where only `iat` says it. */
  readonly issuedAt: number | null;
  expiresAt: number | null;
  readonly session: Held | null;
  readonly parent: Held | null;
  /** Whether the service has a record of it: it was issued there, or seen. */
  isRecorded: boolean;
  isRevoked: boolean;
}

export interface Scope {
  readonly holder: Holder | null;
  readonly applicationId: string | null;
  readonly sessionsOnly: boolean;
}

export interface Model {
  readonly holders: Holder[];
  readonly held: Held[];
  isGood(one: Held, now: number): boolean;
  /** With what came from it; signing out keeps what was minted. */
  revoke(one: Held, keepMinted?: boolean): void;
  /** Everything of the scope that was issued at or before `at`. */
  cutOff(scope: Scope, at: number): void;
}

export function createModel(): Model {
  const holders: Holder[] = [];
  const held: Held[] = [];

  /** Also through what is revoked already: what signing out had spared falls later. */
  function revoke(one: Held, keepMinted = false): void {
    one.isRevoked = true;
    for (const other of held) {
      const falls = other.session === one || (other.parent === one && !keepMinted);
      if (falls) revoke(other, keepMinted);
    }
  }

  function isHit(one: Held, at: number): boolean {
    const times = [one.issuedAt, one.session === null ? null : one.session.issuedAt];
    const known = times.filter((time) => time !== null);
    return one.issuedAt === null || Math.min(...known) <= at;
  }

  return {
    holders,
    held,
    isGood: (one, now) =>
      !one.isRevoked &&
      one.holder.status === 'active' &&
      (one.expiresAt === null || one.expiresAt > now),
    revoke,
    cutOff({ holder, applicationId, sessionsOnly }, at) {
      const hit = held.filter(
        (one) =>
          (holder === null || one.holder === holder) &&
          (applicationId === null || one.applicationId === applicationId) &&
          (!sessionsOnly || one.kind === 'session' || one.session !== null) &&
          isHit(one, at),
      );
      for (const one of hit) revoke(one);
    },
  };
}
