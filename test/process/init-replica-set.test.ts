/** What makes the replica set of the compose file, against a MongoDB shell that is played: interrupted anywhere, it goes on where it was. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';

const SCRIPT = readFileSync(
  fileURLToPath(new URL('../../docs/deploy/init-replica-set.js', import.meta.url)),
  'utf8',
);

describe('init-replica-set.js', () => {
  interface Member {
    readonly _id: number;
    readonly host: string;
  }

  /** As much of a MongoDB as it uses; it refuses what MongoDB refuses. @param stopAt ends it before so many-th change. */
  function createCluster() {
    const users = new Map<string, { pwd: string; roles: unknown }>();
    let members: Member[] = [];
    let version = 1;
    /** Answers to go until there is a primary, or the newest member has the data. */
    let busy = 0;
    let changes = 0;
    let stopAt = Infinity;
    const printed: string[] = [];

    function change(): void {
      changes += 1;
      if (changes === stopAt) throw new Error('interrupted');
    }
    function fail(message: string, code: number): never {
      throw Object.assign(new Error(message), { code });
    }
    const isBusy = () => {
      busy = Math.max(0, busy - 1);
      return busy > 0;
    };

    function createDatabase(name: string, user: string | null) {
      const mayUse = () => user === 'root' || (user === null && users.size === 0);
      const keyOf = (own: string) => `${name}.${own}`;
      return {
        hello: () => ({
          ...(members.length > 0 ? { setName: 'rs0' } : {}),
          ...(members.length > 0 && !isBusy() ? { primary: 'mongodb-1:27017' } : {}),
        }),
        getSiblingDB: (other: string) => createDatabase(other, user),
        getUser: (own: string) => users.get(keyOf(own)) ?? null,
        createUser({ user: own, pwd, roles }: { user: string; pwd: string; roles: unknown }) {
          change();
          if (!mayUse() || users.has(keyOf(own))) fail('not authorized', 13);
          users.set(keyOf(own), { pwd, roles });
        },
        updateUser(own: string, { pwd }: { pwd: string }) {
          change();
          users.set(keyOf(own), { roles: users.get(keyOf(own))?.roles, pwd });
        },
        adminCommand(command: Record<string, unknown>) {
          if (!mayUse()) fail('not authorized', 13);
          if ('replSetGetConfig' in command) return { config: { _id: 'rs0', version, members } };
          if ('replSetGetStatus' in command) {
            const isLastBusy = isBusy();
            return {
              members: members.map(({ host }, i) => ({
                name: host,
                stateStr:
                  i === 0
                    ? 'PRIMARY'
                    : isLastBusy && i === members.length - 1
                      ? 'STARTUP2'
                      : 'SECONDARY',
              })),
            };
          }
          change();
          const wanted = (command['replSetInitiate'] ?? command['replSetReconfig']) as {
            version?: number;
            members: Member[];
          };
          if ('replSetInitiate' in command && members.length > 0) fail('already initialized', 23);
          if ('replSetReconfig' in command) {
            if (wanted.version !== version + 1) fail('version', 103);
            if (busy > 0 || wanted.members.length !== members.length + 1) fail('one by one', 103);
            version += 1;
          }
          ({ members } = wanted);
          busy = 3;
          return { ok: 1 };
        },
      };
    }

    return {
      users,
      printed,
      get members() {
        return members;
      },
      get changes() {
        return changes;
      },
      run(secrets: Record<string, string>, endBefore = Infinity) {
        changes = 0;
        stopAt = endBefore;
        runInNewContext(SCRIPT, {
          print: (line: string) => printed.push(line),
          sleep: () => undefined,
          require: () => ({
            readFileSync: (path: string) => `${secrets[path.replace('/run/secrets/', '')]}\n`,
          }),
          connect(uri: string) {
            const [, user, pwd] =
              /^mongodb:\/\/(?:([^:]+):([^@]+)@)?127\.0\.0\.1:27017\//.exec(uri) ?? [];
            if (
              user !== undefined &&
              users.get(`admin.${user}`)?.pwd !== decodeURIComponent(pwd ?? '')
            )
              fail('Authentication failed.', 18);
            return createDatabase('admin', user ?? null);
          },
        });
      },
    };
  }

  const SECRETS = { 'mongodb-root-password': 'r/o@o:t', 'mongodb-password': 'first' };
  const DONE = {
    hosts: ['mongodb-1:27017', 'mongodb-2:27017', 'mongodb-3:27017'],
    users: [
      ['admin.root', { pwd: 'r/o@o:t', roles: ['root'] }],
      ['jwt-history.jwt-history', { pwd: 'first', roles: ['readWrite'] }],
    ],
  };
  const stateOf = ({ members, users }: ReturnType<typeof createCluster>) =>
    JSON.parse(
      JSON.stringify({ hosts: members.map(({ host }) => host), users: [...users] }),
    ) as unknown;

  it('makes a replica set of three, and the users', () => {
    const cluster = createCluster();
    cluster.run(SECRETS);
    expect(stateOf(cluster)).toEqual(DONE);
    expect(cluster.changes).toBe(5);
    expect(cluster.printed).toEqual(['The replica set has its three members and its users.']);
  });

  it.each([1, 2, 3, 4, 5])('that ended before its change %i goes on where it was', (endBefore) => {
    const cluster = createCluster();
    expect(() => cluster.run(SECRETS, endBefore)).toThrow('interrupted');
    cluster.run(SECRETS);
    expect(stateOf(cluster)).toEqual(DONE);
  });

  it('changes nothing when all is there, and a changed password of the service’s user', () => {
    const cluster = createCluster();
    cluster.run(SECRETS);
    cluster.run({ ...SECRETS, 'mongodb-password': 'second' });
    expect(cluster.changes).toBe(1);
    expect(cluster.users.get('jwt-history.jwt-history')).toMatchObject({ pwd: 'second' });
  });

  it('with another password of root than was set says so', () => {
    const cluster = createCluster();
    cluster.run(SECRETS);
    expect(() => cluster.run({ ...SECRETS, 'mongodb-root-password': 'other' })).toThrow(
      'not authorized',
    );
  });
});
