import { expect, it } from '@jest/globals';
import { REPORT_NOTHING } from '../../src/audit/report.js';
import { unavailable } from '../../src/errors.js';
import { createLogger } from '../../src/observability/logger.js';
import { parseClaims } from '../../src/tokens/claims.js';
import { createUsageRecorder } from '../../src/tokens/usage-recorder.js';

const device = () => ({
  name: null,
  description: null,
  type: null,
  userAgent: null,
  ip: null,
  location: null,
});

/** Writes of which the newest ends when it is told to. */
function writes() {
  let succeed = () => {};
  let fail = () => {};
  return {
    succeed: () => succeed(),
    fail: () => fail(),
    recordSeen: () =>
      new Promise<[]>((resolve, reject) => {
        succeed = () => resolve([]);
        fail = () => reject(unavailable('The database is away.'));
      }),
  };
}

it('says that a use is pending until it is durable: while it is written too, and when that failed', async () => {
  const written = writes();
  const usage = createUsageRecorder({
    tokens: {
      recordSeen: written.recordSeen,
      isRecorded: async () => 'unknown',
      findByJtis: async () => [],
    },
    clock: () => 1_790_000_000_000,
    log: createLogger({ level: 'silent' }),
    adopt: true,
    retentionSeconds: 60,
    report: REPORT_NOTHING,
  });
  const claims = parseClaims({ jti: 'a', _id: 'u1' });
  expect(claims).not.toBeNull();
  if (claims !== null) usage.note(claims, device);
  expect(usage.pending).toBe(1);

  const failing = usage.flush();
  expect(usage.pending).toBe(1);
  // Asked for meanwhile: it begins in the moment in which the first one fails.
  const again = usage.flush();
  written.fail();
  await expect(failing).rejects.toMatchObject({ code: 'unavailable' });
  expect(usage.pending).toBe(1);

  written.succeed();
  await again;
  expect(usage.pending).toBe(0);
});
