/** Those who watch the live stream, with streams that take as long as a test says: who is asked, and the pauses. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { type Change, createFeed } from '../../../src/audit/feed.js';
import { createLogger } from '../../../src/observability/logger.js';
import { createLiveViewers, type LiveViewer } from '../../../src/dashboard/live/viewers.js';
import { until } from '../../support/process.js';

const CHANGE: Change = {
  type: 'scope-revoked',
  cutoff: { userId: null, applicationId: null, at: new Date() },
};

interface Watched {
  readonly viewer: LiveViewer;
  readonly messages: string[];
  isValid: boolean;
  end: 'end' | 'cut' | null;
}

let closeAll = () => {};
afterEach(() => closeAll());

/** @param sendMs how long each message keeps the process busy. */
async function watching(count: number, { sendMs = 0 } = {}) {
  const feed = createFeed();
  const viewers = createLiveViewers({
    feed,
    toWire: () => Promise.resolve([] as never),
    administratorsAmong: (userIds) => Promise.resolve(new Set(userIds)),
    log: createLogger({ level: 'silent' }),
  });
  closeAll = viewers.closeAll;
  const all = Array.from({ length: count }, (_, i): Watched => {
    const messages: string[] = [];
    const watched: Watched = {
      messages,
      isValid: true,
      end: null,
      viewer: {
        userId: `user-${i}`,
        isAdministrator: true,
        stillValid: () => watched.isValid,
        stream: {
          send(message) {
            const endAt = performance.now() + sendMs;
            while (performance.now() < endAt);
            messages.push(message.toString());
          },
          unsent: 0,
          isOpen: true,
          end: () => (watched.end = 'end'),
          cut: () => (watched.end = 'cut'),
        },
      },
    };
    return watched;
  });
  for (const { viewer } of all) await viewers.add(viewer, null);
  const told = (times: number) => all.filter(({ messages }) => changesIn(messages) >= times).length;
  return { feed, all, told };
}

function changesIn(messages: readonly string[]): number {
  return messages.filter((message) => message.includes('event:changes')).length;
}

describe('viewers', () => {
  it('are all asked twice a second, however many there are', async () => {
    const { all } = await watching(100);
    const [gone] = all.slice(90);
    if (gone === undefined) throw new Error('there are too few');
    gone.isValid = false;
    await until('the end of the ninetieth', () => gone.end === 'end');
    expect(all.filter(({ end }) => end !== null)).toEqual([gone]);
  });

  it('are told after a pause of four times what telling took last', async () => {
    const { feed, told } = await watching(100, { sendMs: 1 });
    feed.publish(CHANGE);
    await until('the first telling', () => told(1) === 100);
    const endedAt = performance.now();
    feed.publish(CHANGE);
    await until('the second one begins', () => told(2) > 0);
    // It was noticed a little late that the first one had ended.
    expect(performance.now() - endedAt).toBeGreaterThan(300);
    await until('the second telling', () => told(2) === 100);
  });
});
