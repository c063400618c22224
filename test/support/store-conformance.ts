/** The definition of the store: what every engine behind it must do. Run on each engine that there is. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MAX_AHEAD_MS } from '../../src/clock.js';
import { openStore, type Store } from '../../src/store/database/connect.js';
import { DuplicateKeyError } from '../../src/store/database/failures.js';
import { type NewTokenRecord, newTokenRecord, type Revocation } from '../../src/store/records.js';
import { SORT_FIELDS, type TokenFilter } from '../../src/store/tokens/query/filter.js';
import { createJti } from '../../src/tokens/jti.js';
import { freshDatabase, START } from './harness.js';

export const newRecord = (jti: string, more: Partial<NewTokenRecord> = {}): NewTokenRecord =>
  newTokenRecord({
    jti,
    kind: 'access',
    origin: 'signin',
    issuer: 'https://issuer.example',
    subject: 'user',
    audience: ['a', 'b'],
    userId: 'u1',
    device: {
      name: null,
      description: null,
      type: null,
      userAgent: 'curl',
      ip: '::1',
      location: null,
    },
    issuedAt: new Date(START),
    expiresAt: new Date(START + 1000),
    purgeAt: new Date(START + 2000),
    ...more,
  });

const revocation = (by: string, at = START): Revocation => ({
  at: new Date(at),
  by,
  reason: null,
  via: 'test',
});

export function describeStore(name: string, uri: () => string): void {
  describe(`the store on ${name}`, () => {
    const clock = { now: START };
    const database = freshDatabase();
    let store: Store;
    const open = () => openStore({ uri: uri(), clock: () => clock.now, database });
    beforeAll(async () => {
      store = await open();
    });
    afterAll(() => store.close());

    const revokedIds = async (since: Date | null = null) => {
      const ids: string[] = [];
      for await (const batch of store.tokens.revoked(since, new Date(0)))
        ids.push(...batch.map(({ jti }) => jti));
      return ids.toSorted();
    };

    it('gives back what was put in, also after close and reopen', async () => {
      const inserted = await store.tokens.insert(newRecord('round-trip'));
      await store.close();
      store = await open();
      expect(await store.tokens.findById(inserted.id)).toEqual(inserted);
      expect(await store.tokens.findByJti('round-trip')).toEqual([inserted]);
      expect(inserted).toEqual({
        ...newRecord('round-trip'),
        id: expect.stringMatching(/^[0-9a-f]{24}$/),
        firstUsedAt: null,
        lastRefusedAt: null,
        refusedCount: 0,
        parentId: null,
        createdAt: new Date(START),
        updatedAt: new Date(START),
      });
    });

    it('keeps jti and issuer unique together, and only together', async () => {
      await store.tokens.insert(newRecord('unique'));
      await expect(store.tokens.insert(newRecord('unique'))).rejects.toThrow(DuplicateKeyError);
      await store.tokens.insert(newRecord('unique', { issuer: '' }));
      expect((await store.tokens.findByJti('unique')).map(({ issuer }) => issuer)).toEqual([
        'https://issuer.example',
        '',
      ]);
    });

    it('lets exactly one of many concurrent inserts of one id through', async () => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 10 }, () => store.tokens.insert(newRecord('race'))),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });

    it('lets a duplicate spoil nobody else’s insert of the same moment', async () => {
      await store.tokens.insert(newRecord('moment-1'));
      const outcomes = await Promise.allSettled(
        [0, 1, 2, 3].map((i) => store.tokens.insert(newRecord(`moment-${i}`))),
      );
      expect(outcomes.map(({ status }) => status)).toEqual([
        'fulfilled',
        'rejected',
        'fulfilled',
        'fulfilled',
      ]);
      expect((outcomes[1] as PromiseRejectedResult).reason).toBeInstanceOf(DuplicateKeyError);
      for (const i of [0, 1, 2, 3])
        expect(await store.tokens.findByJti(`moment-${i}`)).toHaveLength(1);
    });

    it('exchanges a secret once, for exactly one of many, beside those of other tokens', async () => {
      const until = new Date(START + 60_000);
      const make = (jti: string, more: Partial<NewTokenRecord> = {}) =>
        store.tokens.insertSecret(
          newRecord(jti, { kind: 'refresh', expiresAt: until, ...more }),
          'first',
        );
      const [contended, alone, revoked, expired] = await Promise.all([
        make('exchange-contended'),
        make('exchange-alone'),
        make('exchange-revoked'),
        make('exchange-expired', { expiresAt: new Date(START) }),
      ]);
      await store.tokens.revoke(revoked.id, revocation('x'));
      const used = (secretHash: string) => ({
        secretHash,
        sealedSuccessor: 'sealed',
        exchangedAt: new Date(START),
        until: null,
      });
      const exchange = (id: string, next: string, current = 'first') =>
        store.tokens.exchangeSecret(id, current, {
          nextSecretHash: next,
          familyHash: 'family',
          ...(current === next ? {} : { grace: [used(current)] }),
          expiresAt: until,
          purgeAt: null,
          lastUsedAt: new Date(START),
        });
      const [others, contenders] = await Promise.all([
        Promise.all([
          exchange(alone.id, 'second'),
          exchange(revoked.id, 'second'),
          exchange(expired.id, 'second'),
          exchange('0123456789abcdef01234567', 'second'),
        ]),
        Promise.all(
          Array.from({ length: 20 }, async (_, i) =>
            (await exchange(contended.id, `second-${i}`)) ? [`second-${i}`] : [],
          ),
        ),
      ]);
      expect(others).toEqual([true, false, false, false]);
      expect(contenders.flat()).toHaveLength(1);
      const found = await store.tokens.findSecret('exchange-contended', contended.issuer);
      expect(found?.secretHash).toBe(contenders.flat()[0]);
      expect([found?.familyHash, found?.grace]).toEqual(['family', [used('first')]]);
      expect((await store.tokens.findSecret('exchange-revoked', revoked.issuer))?.grace).toEqual(
        [],
      );
      // With the same on both sides only the times are renewed: as often as one likes.
      const again = () => exchange(alone.id, 'second', 'second');
      expect(await Promise.all([again(), again()])).toEqual([true, true]);
      const graceOf = async (jti: string) =>
        (await store.tokens.findSecret(jti, alone.issuer))?.grace ?? [];
      expect(await graceOf('exchange-alone')).toEqual([used('first')]);
      // Noted once, for the secret that is handed out; what is noted later changes nothing.
      const note = (secretHash: string, at: Date) =>
        store.tokens.noteAnswered([
          { id: contended.id, secretHash: 'another', until: at },
          { id: alone.id, secretHash, until: at },
        ]);
      await note('another', new Date(START + 1));
      expect(await graceOf('exchange-alone')).toEqual([used('first')]);
      await note('second', until);
      await note('second', new Date(START + 1));
      expect(await graceOf('exchange-alone')).toEqual([{ ...used('first'), until }]);
    });

    it('says `revoked` to exactly one of many concurrent revokes, and keeps its values', async () => {
      const { id } = await store.tokens.insert(newRecord('revoke-race'));
      const outcomes = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          store.tokens.revoke(id, revocation(`by-${i}`, START + i)),
        ),
      );
      const winners = outcomes.filter((o) => o?.outcome === 'revoked');
      expect(winners).toHaveLength(1);
      expect(outcomes.filter((o) => o?.outcome === 'already-revoked')).toHaveLength(9);
      for (const outcome of outcomes) expect(outcome?.record).toEqual(winners[0]?.record);
      expect(await store.tokens.findById(id)).toEqual(winners[0]?.record);
      expect(winners[0]?.record.updatedAt).toEqual(winners[0]?.record.revocation?.at);
    });

    it('says it to exactly one of two instances, too', async () => {
      const other = await open();
      const records = await Promise.all(
        Array.from({ length: 20 }, (_, i) => store.tokens.insert(newRecord(`two-instances-${i}`))),
      );
      const revokeAll = ({ tokens }: Store, by: string) =>
        Promise.all(records.map(({ id }) => tokens.revoke(id, revocation(by))));
      const [here, there] = await Promise.all([revokeAll(store, 'same'), revokeAll(other, 'same')]);
      await other.close();
      const winners = here.map(
        (outcome, i) => [outcome, there[i]].filter((o) => o?.outcome === 'revoked').length,
      );
      expect(winners).toEqual(records.map(() => 1));
      expect(here.map((outcome) => outcome?.record)).toEqual(there.map((o) => o?.record));
    });

    it('gives each of many concurrent revokes its own answer', async () => {
      const [a, b, c, d] = await Promise.all(
        ['own-a', 'own-b', 'own-c', 'own-d'].map((jti) => store.tokens.insert(newRecord(jti))),
      );
      await store.tokens.revoke(c?.id ?? '', revocation('before', START + 1));
      let tooDeep = {};
      for (let depth = 0; depth < 300; depth += 1) tooDeep = { tooDeep };
      const outcomes = await Promise.allSettled([
        store.tokens.revoke(a?.id ?? '', revocation('1')),
        store.tokens.revoke('0123456789abcdef01234567', revocation('2')),
        store.tokens.revoke(d?.id ?? '', { ...revocation('3'), eventInfo: tooDeep }),
        store.tokens.revoke(b?.id ?? '', { ...revocation('4'), eventInfo: { why: '$at' } }),
        store.tokens.revoke(a?.id.toUpperCase() ?? '', revocation('5')),
        store.tokens.revoke(c?.id ?? '', revocation('6')),
      ]);
      const answers = outcomes.map((settled) =>
        settled.status === 'rejected'
          ? 'refused'
          : [settled.value?.outcome, settled.value?.record.revocation?.by],
      );
      expect(answers).toEqual([
        ['revoked', '1'],
        [undefined, undefined],
        'refused',
        ['revoked', '4'],
        ['already-revoked', '1'],
        ['already-revoked', 'before'],
      ]);
      expect((await store.tokens.findById(b?.id ?? ''))?.revocation).toEqual({
        ...revocation('4'),
        eventInfo: { why: '$at' },
      });
      expect((await store.tokens.findById(d?.id ?? ''))?.revocation).toBeNull();
    });

    it('gives each of many concurrent look-ups its own records', async () => {
      const ids = Array.from({ length: 30 }, (_, i) => `together-${i}`);
      const inserted = await Promise.all(ids.map((jti) => store.tokens.insert(newRecord(jti))));
      const second = await store.tokens.insert(newRecord('together-7', { issuer: 'another' }));
      const found = await Promise.all(
        ['together-none', ...ids, 'together-7'].map((jti) => store.tokens.findByJti(jti)),
      );
      const both = [inserted[7], second];
      const expected = inserted.map((record, i) => (i === 7 ? both : [record]));
      expect(found).toEqual([[], ...expected, both]);
    });

    it('answers null for a revoke of nothing', async () => {
      expect(await store.tokens.revoke('0123456789abcdef01234567', revocation('x'))).toBeNull();
      expect(await store.tokens.revoke('twelve chars', revocation('x'))).toBeNull();
    });

    it.each([[''], [undefined], [null], [{}], [{ $ne: null }], [['a']]])(
      'throws on a revoke of %j and touches nothing',
      async (id) => {
        const before = await revokedIds();
        await expect(store.tokens.revoke(id as string, revocation('x'))).rejects.toThrow(TypeError);
        await expect(store.tokens.findByJti(id as string)).rejects.toThrow(TypeError);
        expect(await revokedIds()).toEqual(before);
      },
    );

    it('lists what is revoked: all of it, or what was recorded since a moment of its own clock', async () => {
      const [a, b] = await Promise.all([
        store.tokens.insert(newRecord('since-a')),
        store.tokens.insert(newRecord('since-b')),
      ]);
      // Whatever an instance's clock says, in either direction.
      await store.tokens.revoke(a.id, revocation('x', START + 10_000_000));
      const between = await store.time();
      let now = between;
      while (now <= between) now = await store.time();
      await store.tokens.revoke(b.id, revocation('x', START - 10_000_000));
      await store.tokens.insert(newRecord('never-revoked'));
      expect(await revokedIds(now)).toEqual(['since-b']);
      expect(await revokedIds()).toEqual(expect.arrayContaining(['since-a', 'since-b']));
      expect(await revokedIds()).not.toContain('never-revoked');
      // Repeated, it is read once more, by whoever missed it; its values are the first one's.
      const again = await store.tokens.revoke(a.id, revocation('y'));
      expect([again?.outcome, again?.record.revocation?.by]).toEqual(['already-revoked', 'x']);
      expect((await revokedIds(now)).toSorted()).toEqual(['since-a', 'since-b']);
    });

    it('forgets expired revocations only of tokens that were issued here, and are sealed', async () => {
      const due = { expiresAt: new Date(START - 1), purgeAt: new Date(START + 1000) };
      const since = START + MAX_AHEAD_MS;
      const [sealed, older] = [createJti(since), createJti(since - 1)];
      const ids = ['forget-adopted', 'forget-registered', 'forget-signin', older, sealed];
      const origins = ['adopted', 'registered', 'signin', 'signin', 'signin'] as const;
      for (const [i, jti] of ids.entries()) {
        const { id } = await store.tokens.insert(
          newRecord(jti, { origin: origins[i] ?? 'signin', ...due }),
        );
        await store.tokens.revoke(id, revocation('x'));
      }
      const entries: unknown[] = [];
      for await (const batch of store.tokens.revoked(null, new Date(START))) {
        entries.push(...batch.filter(({ jti }) => ids.includes(jti)));
      }
      expect(entries).toEqual(
        expect.arrayContaining([
          { jti: 'forget-adopted', issuer: 'https://issuer.example', expiresAt: null },
          { jti: 'forget-registered', issuer: 'https://issuer.example', expiresAt: null },
          { jti: 'forget-signin', issuer: 'https://issuer.example', expiresAt: START - 1 },
          { jti: older, issuer: 'https://issuer.example', expiresAt: START - 1 },
        ]),
      );
      expect(entries).toHaveLength(4);
      for (const jti of ids) {
        const [record] = await store.tokens.findByJti(jti);
        expect([jti, record?.purgeAt]).toEqual([jti, jti === sealed ? due.purgeAt : null]);
      }
    });

    it('adopts a token once, and afterwards only moves its last use forward', async () => {
      const at = (ms: number) => new Date(START + ms);
      const record = newRecord('adopted', { origin: 'adopted', userId: 'first' });
      await store.tokens.recordSeen([{ record, lastUsedAt: at(5) }], true);
      await store.tokens.recordSeen(
        [{ record: { ...record, userId: 'second' }, lastUsedAt: at(3) }],
        true,
      );
      await store.tokens.recordSeen(
        [{ record: newRecord('not-adopted'), lastUsedAt: at(3) }],
        false,
      );
      expect(await store.tokens.findByJti('adopted')).toMatchObject([
        { userId: 'first', lastUsedAt: at(5), origin: 'adopted' },
      ]);
      expect(await store.tokens.findByJti('not-adopted')).toEqual([]);
      expect(await store.tokens.isRecorded('adopted', record.issuer, 'first')).toBe('recorded');
      expect(await store.tokens.isRecorded('adopted', record.issuer, 'second')).toBe('unknown');
      expect(await store.tokens.isRecorded('adopted', '', 'first')).toBe('unknown');
    });

    it('never un-revokes by seeing a token in use', async () => {
      const { id } = await store.tokens.insert(newRecord('seen-after'));
      await store.tokens.revoke(id, revocation('x'));
      await store.tokens.recordSeen(
        [{ record: newRecord('seen-after'), lastUsedAt: new Date(START) }],
        true,
      );
      expect((await store.tokens.findById(id))?.revocation?.by).toBe('x');
    });

    it('adopts concurrently without losing or doubling anything', async () => {
      const batch = (from: number) =>
        Array.from({ length: 100 }, (_, i) => ({
          record: newRecord(`many-${from + i}`),
          lastUsedAt: new Date(START),
        }));
      await Promise.all([
        store.tokens.recordSeen(batch(0), true),
        store.tokens.recordSeen(batch(50), true),
        store.tokens.recordSeen(batch(0), true),
      ]);
      for (const i of [0, 49, 50, 99, 100, 149])
        expect(await store.tokens.findByJti(`many-${i}`)).toHaveLength(1);
    });

    it('purges what is due, and keeps what has no purge date', async () => {
      await store.tokens.insert(newRecord('due', { purgeAt: new Date(START - 1) }));
      await store.tokens.insert(newRecord('kept', { purgeAt: null, expiresAt: null }));
      await store.tokens.purgeDue();
      expect(await store.tokens.findByJti('due')).toEqual([]);
      expect(await store.tokens.findByJti('kept')).toHaveLength(1);
      expect(await store.tokens.findByJti('round-trip')).toHaveLength(1);
    });

    it('answers every combination of filters and sorts, and counts the same', async () => {
      const of = (jti: string, more: Partial<NewTokenRecord>) =>
        store.tokens.insert(
          newRecord(`listed-${jti}`, { userId: 'lister', applicationId: 'app', ...more }),
        );
      await of('a', { kind: 'api-key', expiresAt: null });
      await of('b', { expiresAt: new Date(START - 5000) });
      await of('c', { revocation: revocation('x') });
      await of('d', { applicationId: 'lister', lastUsedAt: new Date(START) });
      await of('e', { userId: 'someone', applicationId: 'lister' });
      const names = (records: { jti: string }[]) =>
        records.map(({ jti }) => jti.replace('listed-', '')).join('');
      const textOf = (value: string) => ({ value, userIds: [], minJtiPrefix: 8 });
      for (const sortField of SORT_FIELDS) {
        for (const direction of [1, -1] as const) {
          const page = { sortField, direction, skip: 0, limit: 100 };
          const rows: [TokenFilter, string][] = [
            [{ userIds: ['lister'] }, 'abcd'],
            [{ userIds: ['lister'], state: 'active' }, 'ad'],
            [{ userIds: ['lister'], state: 'expired' }, 'b'],
            [{ userIds: ['lister'], state: 'revoked', kind: 'access' }, 'c'],
            [{ userIds: null, kind: 'api-key' }, 'a'],
            [{ userIds: null, applicationId: 'app' }, 'abc'],
            [{ userIds: null, applicationId: 'app', state: 'revoked', kind: 'access' }, 'c'],
            [{ userIds: null, text: textOf('lister') }, 'abcde'],
            [
              { userIds: null, text: textOf('lister'), state: 'active', applicationId: 'lister' },
              'de',
            ],
            [{ userIds: null, text: textOf('listed-d') }, 'd'],
            [{ userIds: ['lister'], text: textOf('listed-e') }, ''],
            [{ userIds: null, text: textOf('listed') }, ''],
          ];
          for (const [filter, expected] of rows) {
            const found = names(await store.tokens.list(filter, page));
            expect([filter, page, [...found].toSorted().join('')]).toEqual([
              filter,
              page,
              expected,
            ]);
            const opposite = await store.tokens.list(filter, {
              ...page,
              direction: direction === 1 ? -1 : 1,
            });
            expect([filter, page, names(opposite)]).toEqual([
              filter,
              page,
              [...found].toReversed().join(''),
            ]);
            const { count, countIs } = await store.tokens.count(filter);
            if (countIs === 'exact') expect([filter, count]).toEqual([filter, expected.length]);
            const paged = [];
            for (let skip = 0; skip <= expected.length; skip += 2) {
              paged.push(...(await store.tokens.list(filter, { ...page, skip, limit: 2 })));
            }
            expect([filter, page, names(paged)]).toEqual([filter, page, found]);
          }
        }
      }
    });

    it('moves a cut-off forward, never back, one document for each scope', async () => {
      const cutoff = (at: number, more = {}) => ({
        userId: null,
        applicationId: 'app',
        sessionsOnly: false,
        at: new Date(START + at),
        by: 'x',
        reason: null,
        via: 'test',
        ...more,
      });
      await Promise.all([5, 9, 7].map((at) => store.cutoffs.raise(cutoff(at))));
      expect((await store.cutoffs.raise(cutoff(1))).at).toEqual(new Date(START + 9));
      await store.cutoffs.raise(cutoff(2, { userId: 'app', applicationId: null }));
      await store.cutoffs.raise(cutoff(3, { sessionsOnly: true }));
      const all = await store.cutoffs.all();
      expect(new Set(all.map(({ at }) => at.getTime() - START))).toEqual(new Set([2, 3, 9]));
      expect(all).toHaveLength(3);
    });

    it('counts what a holder has that never expires, by an index of its own, no further than asked for', async () => {
      const endless = {
        userId: 'counted',
        origin: 'woleet',
        expiresAt: null,
        purgeAt: null,
      } as const;
      const key = { kind: 'api-key', origin: 'registered' } as const;
      const others = [
        { userId: 'other' },
        { origin: 'adopted' },
        { origin: 'signin' },
        { expiresAt: new Date(START + 1000) },
        { ...key, expiresAt: new Date(START + 1000) },
        { revocation: revocation('u1') },
        { ...key, revocation: revocation('u1') },
      ] as const;
      const insert = (jti: string, more: Partial<NewTokenRecord>) =>
        store.tokens.insert(newRecord(jti, { ...endless, ...more }));
      await Promise.all(others.map((more, i) => insert(`not-counted-${i}`, more)));
      const minted = await Promise.all(Array.from({ length: 5 }, (_, i) => insert(`c-${i}`, {})));
      await Promise.all(Array.from({ length: 4 }, (_, i) => insert(`k-${i}`, key)));
      expect(await store.tokens.countEndless('counted', 1000)).toBe(9);
      // Of each kind.
      expect(await store.tokens.countEndless('counted', 3)).toBe(6);
      expect(await store.tokens.countEndless('nobody', 3)).toBe(0);
      await store.tokens.revoke(minted[0]?.id ?? '', revocation('u1'));
      expect(await store.tokens.countEndless('counted', 1000)).toBe(8);
    });

    it('keeps e-mails unique and passwords out of users', async () => {
      const user = {
        email: 'a@example.com',
        passwordHash: 'hash',
        firstname: null,
        lastname: null,
        role: null,
      };
      expect(await store.users.hasAdministrator()).toBe(false);
      const inserted = await store.users.insert(user);
      await expect(store.users.insert(user)).rejects.toThrow(DuplicateKeyError);
      expect(JSON.stringify(inserted)).not.toContain('hash');
      expect(await store.users.findByEmail('a@example.com')).toEqual({
        user: inserted,
        passwordHash: 'hash',
      });
      expect(await store.users.replacePasswordHash(inserted.id, 'other', 'new')).toBe(false);
      expect(await store.users.replacePasswordHash(inserted.id, 'hash', 'new')).toBe(true);
      await store.users.insert({ ...user, email: 'root@example.com', role: 'admin' });
      expect(await store.users.hasAdministrator()).toBe(true);
    });

    it('refuses unknown fields and operators instead of dropping them', async () => {
      await expect(
        store.tokens.insert({ ...newRecord('strict'), extra: 1 } as NewTokenRecord),
      ).rejects.toThrow(/strict/i);
      await expect(store.users.findByEmail({ $ne: null } as unknown as string)).rejects.toThrow();
      expect(await store.tokens.findByJti('strict')).toEqual([]);
    });

    it('says 503, within seconds, when the database is gone', async () => {
      const closed = await open();
      await closed.close();
      await expect(closed.tokens.findByJti('x')).rejects.toMatchObject({
        code: 'unavailable',
        status: 503,
        headers: { 'Retry-After': '1' },
      });
      expect(await closed.ping()).toBe(false);
    });
  });
}
