/** Sessions over the real store of a test service, with doors at which a test can fail or delay a write: before or after it took effect. */
import { REPORT_NOTHING } from '../../src/audit/report.js';
import { unavailable } from '../../src/errors.js';
import type { TokenRecord, User } from '../../src/store/records.js';
import { questionOf } from '../../src/revocation/revocation-index.js';
import { createTokenIssuer } from '../../src/tokens/issuer.js';
import { createSecretKeys } from '../../src/tokens/keys.js';
import { createSeal } from '../../src/tokens/seal.js';
import { createSessions, type Sessions } from '../../src/tokens/session.js';
import { SECRET, type TestService } from './harness.js';

type Door = 'exchange' | 'insert' | 'note';
export type Fault = `${Door} ${'before' | 'after'}`;

export interface TriedSessions extends Sessions {
  /** What happens at a door from now on, until it's cleared. */
  readonly doors: Map<Fault, () => Promise<void>>;
  fail(...faults: Fault[]): void;
}

export const noDevice = {
  name: null,
  description: null,
  type: null,
  userAgent: null,
  ip: null,
  location: null,
};

export const sessionOf = (user: User) => ({ user, applicationId: 'app', device: noDevice });

export function trySessions(
  t: TestService,
  settings: { graceSeconds: number; refreshSeconds?: number },
): TriedSessions {
  const doors = new Map<Fault, () => Promise<void>>();
  const { tokens, users } = t.store;
  const clock = () => t.clock.now;
  const seal = createSeal(t.store.seal.secret);
  const ownIssuer = t.config.tokenIssuer;
  const retentionSeconds = t.config.retentionSeconds;

  const through =
    <A extends unknown[], R>(door: Door, write: (...given: A) => Promise<R>) =>
    async (...given: A): Promise<R> => {
      await doors.get(`${door} before`)?.();
      const result = await write(...given);
      await doors.get(`${door} after`)?.();
      return result;
    };

  const sessions = createSessions({
    secrets: {
      ...tokens,
      exchangeSecret: through('exchange', tokens.exchangeSecret),
      noteAnswered: through('note', tokens.noteAnswered),
    },
    findUser: users.findById,
    issuer: createTokenIssuer({
      keys: createSecretKeys(SECRET),
      seal,
      clock,
      issuer: ownIssuer,
      retentionSeconds,
      record: through('insert', tokens.insert),
    }),
    whenRefused: () => Promise.resolve(),
    isRevoked: (record: TokenRecord) => t.service.index.isRevoked(questionOf(record)),
    discard: tokens.discard,
    report: REPORT_NOTHING,
    createId: seal.createId,
    clock,
    ownIssuer,
    defaultAudience: 'audience',
    accessSeconds: 3600,
    refreshSeconds: 30 * 86_400,
    retentionSeconds,
    oneTimeUse: true,
    ...settings,
  });
  return {
    ...sessions,
    doors,
    fail(...faults) {
      for (const fault of faults) {
        doors.set(fault, () => Promise.reject(unavailable('The store does not answer.')));
      }
    },
  };
}
