/**
 * Passport's Basic and JWT strategies (the latter takes API keys too), fed by our own credentials
 * parser and token check.
 *
 * Both override `authenticate`: passport-http splits a password at every colon, and passport-jwt's
 * header expression is quadratic and its verification knows nothing of our claims or revocations.
 */
import type { Request } from 'express';
import type { StrategyCreatedStatic } from 'passport';
import { BasicStrategy } from 'passport-http';
import { Strategy as PassportJwtStrategy } from 'passport-jwt';
import { clientAddress, clientDevice } from '../http/client.js';
import { signalOfClient } from '../http/client-gone.js';
import type { SigningKeys } from '../tokens/keys.js';
import type { Verification } from '../tokens/verifier.js';
import type { CheckCredentials } from './check-credentials.js';
import { parseAuthorization } from './credentials.js';
import type { PasswordSignIn } from './sign-in.js';

/** What passport adds to a strategy for the length of one request. */
type InRequest = StrategyCreatedStatic;

/** Tells the log of a token of ours that was refused; of any other outcome nothing. */
export type NoteRefused = (req: Request, verification: Verification) => void;

export class PasswordStrategy extends BasicStrategy {
  readonly signIn: PasswordSignIn['signIn'];

  constructor(signIn: PasswordSignIn['signIn']) {
    super(() => undefined);
    this.signIn = signIn;
  }

  override authenticate(this: this & InRequest, req: Request): void {
    const credentials = parseAuthorization(req.headers.authorization);
    if (credentials.scheme !== 'basic') return this.fail(401);
    const signal = req.res === undefined ? undefined : signalOfClient(req.res);
    this.signIn(credentials.email, credentials.password, clientAddress(req), signal).then(
      (principal) => {
        if (principal === null) this.fail(401);
        else this.success({ principal });
      },
      (error: unknown) => this.error(error),
    );
  }
}

export class TokenStrategy extends PassportJwtStrategy {
  readonly check: CheckCredentials;
  readonly noteRefused: NoteRefused;

  constructor(check: CheckCredentials, keys: SigningKeys, noteRefused: NoteRefused) {
    super(
      {
        jwtFromRequest: () => null,
        secretOrKeyProvider: (_req, _token, done) => done(null, undefined),
        algorithms: [keys.algorithm],
      },
      () => undefined,
    );
    this.check = check;
    this.noteRefused = noteRefused;
  }

  override authenticate(this: this & InRequest, req: Request): void {
    const finish = (verification: Verification) => {
      this.noteRefused(req, verification);
      if (!verification.accepted) return this.fail(401);
      const { claims } = verification;
      this.success({ principal: { kind: 'token', userId: claims.userId, claims } });
    };
    try {
      const credentials = parseAuthorization(req.headers.authorization);
      const checked = this.check(credentials, () => clientDevice(req));
      if (checked === null) return this.fail(401);
      if (!(checked instanceof Promise)) return finish(checked);
      checked.then(finish, (error: unknown) => this.error(error));
    } catch (error) {
      this.error(error);
    }
  }
}
