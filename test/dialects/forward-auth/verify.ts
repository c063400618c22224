/** The service with a user of its own, asked at `/auth/verify` as a proxy asks; and what of an answer a client sees. */
import { createHmac } from 'node:crypto';
import { expect } from '@jest/globals';
import type { Response } from 'supertest';
import { createJti } from '../../../src/tokens/jti.js';
import { jtiOf, mint, SECRET, startTestService, type TestService } from '../../support/harness.js';

/** No Basic: browsers would ask for a password, which is never right here. */
export const CHALLENGE = 'Bearer realm="Users"';
export const API_KEY = `0195518e-1a2b-7c3d-8e4f-5a6b7c8d9e0f.${'Ab-_5'.repeat(8)}xyz`;
export const ISSUER = 'https://tiledesk.com';

interface Target {
  readonly service: Pick<TestService, 'http'>;
  readonly method: 'get' | 'head' | 'post' | 'put' | 'patch' | 'delete' | 'options';
  readonly path: string;
}

export async function startVerifying() {
  const t = await startTestService({ ACCESS_TOKEN_TTL: '0' });
  const userId = (await t.createUser('alice@example.com')).id;
  const seconds = () => Math.floor(t.clock.now / 1000);

  return {
    t,
    userId,
    seconds,
    verify(
      authorization: string | undefined,
      headers: Record<string, string> = {},
      { service = t, method = 'get', path = '/auth/verify' }: Partial<Target> = {},
    ) {
      const call = service.http()[method](path).set(headers);
      return authorization === undefined ? call : call.set('Authorization', authorization);
    },
    /** A token that is good, and new. */
    freshToken: (claims: object = {}, options = {}) =>
      mint(
        { jti: createJti(t.clock.now), _id: userId, iss: ISSUER, iat: seconds(), ...claims },
        options,
      ),
    async revoke(token: string, service: TestService = t): Promise<void> {
      const response = await service
        .http()
        .delete(`/v3/jwt/history/${encodeURIComponent(jtiOf(token))}`)
        .set('Authorization', token);
      expect(response.status).toBe(200);
    },
    refusalOf: (jti: string, log = t.log()) =>
      logLines(log).filter((line) => line['event'] === 'token.refused' && line['jti'] === jti),
    close: () => t.close(),
  };
}

/** A signature that is right over any header, also those that a library would not make. */
export function signed(header: object, payload: object, secret = SECRET): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

/** All that a client sees, but for the time and the request's own id. */
export function visible({ status, headers, text }: Response): unknown {
  const { date: _date, 'x-request-id': _id, ...others } = headers as Record<string, string>;
  return { status, headers: others, text: text ?? '' };
}

const logLines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
