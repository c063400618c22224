/** Part `list`: how long the first pages of lists take over HTTP, one request at a time. `./lists.ts` measures every list there is. */
import { join } from 'node:path';
import {
  type BuiltService,
  signIn,
  startBuiltService,
  using,
  withTemporaryFolder,
} from './built-service.js';
import { ms, summarize } from './figures.js';
import { type Effort, type PartResult, progress } from './results.js';
import { ADMIN, applicationId, HOLDER, type Seed, seedFolder } from './seed.js';

const RECORDS = 200_000;
const OF_HOLDER = 1000;
const OTHER_USERS = 20_000;
const PER_ROUND = 40;

interface List {
  readonly name: string;
  readonly caller: 'holder' | 'admin';
  readonly path: string;
}

export async function measureLists({ rounds, divisor }: Effort): Promise<PartResult> {
  const records = Math.max(OF_HOLDER, RECORDS / divisor);
  const samples = new Map<string, number[]>();
  await withTemporaryFolder(async (temporary) => {
    const folder = join(temporary, 'service');
    const seed = await seedFolder(folder, {
      records,
      ofHolder: OF_HOLDER,
      otherUsers: OTHER_USERS,
    });
    const lists = listsOf(seed);
    await using(await startBuiltService(folder, { LOG_LEVEL: 'warn' }), async (service) => {
      const authorizations = {
        holder: await signIn(service, HOLDER.email, HOLDER.password),
        admin: await signIn(service, ADMIN.email, ADMIN.password),
      };
      for (let round = 0; round <= rounds; round += 1) {
        for (const { name, caller, path } of lists) {
          const found = await measure(service, path, authorizations[caller]);
          // The first round warms everything up.
          if (round > 0) samples.set(name, [...(samples.get(name) ?? []), ...found]);
        }
        if (round > 0) progress(`list, round ${round} of ${rounds}`);
      }
    });
  });
  const summaries = [...samples].map(([name, all]) => ({ name, ...summarize(all) }));
  return {
    title: `lists of ${records.toLocaleString('en')} records, 40 to a page, one request at a time`,
    header: ['n', 'p50 ms', 'p99 ms', 'max ms'],
    rows: summaries.map(({ name, n, p50, p99, max }) => [name, n, ms(p50), ms(p99), ms(max)]),
    figures: { records, lists: summaries },
    targets: [],
  };
}

function listsOf({ holderId }: Seed): readonly List[] {
  const everyone = '/v3/jwt/history?userId=*';
  const largest = `applicationId=${applicationId(0)}`;
  return [
    { name: "one's own tokens, newest first", caller: 'holder', path: '/v3/jwt/history' },
    {
      name: "one's own, last used first, page 10",
      caller: 'holder',
      path: '/v3/jwt/history?sortField=lastUsedAt&page=10',
    },
    { name: "everyone's, newest first", caller: 'admin', path: everyone },
    { name: "everyone's, revoked", caller: 'admin', path: `${everyone}&state=revoked` },
    { name: 'of the largest application', caller: 'admin', path: `${everyone}&${largest}` },
    {
      name: "FusionAuth: a user's refresh tokens",
      caller: 'admin',
      path: `/api/jwt/refresh?userId=${holderId}`,
    },
    { name: 'dashboard: newest first', caller: 'admin', path: '/admin/tokens' },
    {
      name: 'dashboard: revoked, of the largest application',
      caller: 'admin',
      path: `/admin/tokens?state=revoked&${largest}`,
    },
  ];
}

async function measure(
  service: BuiltService,
  path: string,
  authorization: string,
): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < PER_ROUND; i += 1) {
    const answer = await service.call('GET', path, { authorization });
    if (answer.status !== 200)
      throw new Error(`GET ${path} was answered ${answer.status}: ${answer.text}`);
    found.push(answer.ms);
  }
  return found;
}
