/** `POST /auth/signin`, as Tiledesk has it: e-mail and password → a token. */
import type { Router } from 'express';
import { z } from 'zod';
import { isEmailAddress } from '../../email.js';
import type { Minting } from '../../auth/minting.js';
import type { PasswordSignIn } from '../../auth/sign-in.js';
import { unauthenticatedWithoutBasic } from '../../errors.js';
import { parseJsonBody } from '../../http/body.js';
import { clientAddress, clientDevice } from '../../http/client.js';
import { signalOfClient } from '../../http/client-gone.js';
import { parseBody } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { createRouter } from '../../http/router.js';
import type { TokenIssuer } from '../../tokens/issuer.js';
import { toWireUser } from '../../accounts/wire.js';

interface Dependencies {
  readonly signIn: PasswordSignIn['signIn'];
  readonly issuer: TokenIssuer;
  readonly minting: Minting;
  readonly config: {
    readonly tokenAudience: string;
    /** 0 = never expires. */
    readonly accessTokenTtlSeconds: number;
  };
}

const signInBody = z.looseObject({
  email: z
    .string({ error: 'must be the e-mail address of the account.' })
    .trim()
    .refine(isEmailAddress, { error: 'must be the e-mail address of the account.' }),
  password: z
    .string({ error: 'must be a text.' })
    .min(1, { error: 'must not be empty.' })
    .max(256, { error: 'must be at most 256 characters.' }),
});

export function createSignInRouter({ signIn, issuer, minting, config }: Dependencies): Router {
  const { tokenAudience: audience, accessTokenTtlSeconds: lifetimeSeconds } = config;
  const router = createRouter();

  router.post('/auth/signin', parseJsonBody, async (req, res) => {
    const { email, password } = parseBody(req, signInBody);
    const principal = await signIn(email, password, clientAddress(req), signalOfClient(res));
    // The same for an unknown user, a wrong password and an inactive account.
    if (principal === null) throw unauthenticatedWithoutBasic('Wrong e-mail or password.');
    const { user } = principal;
    const { id, firstname, lastname } = user;
    const { token } = await minting.mint(
      principal,
      () =>
        issuer.issueAccessToken({
          origin: 'signin',
          userId: id,
          subject: 'user',
          audience,
          lifetimeSeconds: lifetimeSeconds === 0 ? null : lifetimeSeconds,
          device: clientDevice(req),
          claims: { _id: id, email: user.email, firstname, lastname },
        }),
      { door: 'sign-in' },
    );
    res
      .set('Cache-Control', 'no-store')
      .json({ success: true, token: `JWT ${token}`, user: toWireUser(user) });
  });
  router.all('/auth/signin', methodNotAllowed('POST'));

  return router;
}
