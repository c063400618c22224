/** Attack `minting`: one holder mints as much as there is; others mint as before. */
import type { Attack } from './attack.js';
import { type Client, createClient, inLanes, signIn, signInAsAdministrator } from './client.js';
import { MAX_ENDLESS, MINT_RATE, unusualSettings } from './settings.js';

const PASSWORD = 'mints as much as there is';
const LANES = 16;
const FLOOD = { short: 300, full: 3000 } as const;

export const minting: Attack = {
  about: 'one holder mints without end, by each of the ways: 429, others mint on',
  settings: unusualSettings,
  async prepare(target) {
    const client = createClient(target);
    const root = await signInAsAdministrator(client, target);
    const make = async (name: string, role?: 'admin') => {
      const email = `${name}-${target.seed}@attack.example`;
      await root.createUser(email, PASSWORD, role);
      return {
        email,
        headers: { Authorization: await signIn(client, { email, password: PASSWORD }) },
      };
    };
    const endless = await make('endless');
    const keys = await make('keys', 'admin');
    const quiet = await make('quiet');
    const count = target.short ? FLOOD.short : FLOOD.full;
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const floods: Flood[] = [
      {
        what: 'endless tokens',
        // As many more as may be under way at the same moment.
        atMost: () => MAX_ENDLESS + LANES,
        send: (from) => from.call('GET', '/v1/token', { headers: endless.headers }),
      },
      {
        what: 'keys',
        atMost: (minutes) => MINT_RATE * (Math.ceil(minutes) + 1),
        send: (from, at) =>
          from.call('POST', '/admin/api-keys', {
            headers: keys.headers,
            body: { name: `key ${at}`, expiresAt },
          }),
      },
      {
        what: 'sign-ins',
        atMost: (minutes) => 10 * MINT_RATE * (Math.ceil(minutes) + 1),
        send: (from) =>
          from.call('POST', '/auth/signin', { body: { email: keys.email, password: PASSWORD } }),
      },
    ];
    return async () => {
      const startedAt = performance.now();
      const results: string[] = [];
      await Promise.all(
        floods.map(async (flood) => {
          const from = createClient(target);
          await inLanes(
            Array.from({ length: flood.what === 'sign-ins' ? 5 * count : count }),
            LANES,
            async (_, at) => {
              const { status, headers, text } = await flood.send(from, at);
              if (status === 429 && headers['retry-after'] === undefined && !text.includes('/'))
                from.faults.add('429 says neither when nor what to do', text);
            },
          );
          const minutes = (performance.now() - startedAt) / 60_000;
          const made = from.count((status) => status < 300);
          if (made > flood.atMost(minutes))
            client.faults.add(
              `${made} ${flood.what} for one holder in ${minutes.toFixed(1)} minutes`,
            );
          if (made === 0) client.faults.add(`no ${flood.what} at all`);
          for (const fault of from.faults.list()) client.faults.add(fault);
          results.push(`${flood.what} ${from.summary()}`);
          from.close();
        }),
      );
      await othersMint(client, quiet.headers);
      client.close();
      return { numbers: results.join('; '), faults: client.faults.list() };
    };
  },
};

interface Flood {
  readonly what: string;
  /** How many may be made in so many minutes. */
  atMost(minutes: number): number;
  send(from: Client, at: number): ReturnType<Client['call']>;
}

async function othersMint(client: Client, headers: Readonly<Record<string, string>>) {
  const { status } = await client.call('GET', '/v1/token', { headers });
  if (status !== 200) client.faults.add(`somebody else's minting was answered ${status}`);
}
