/** Finding users by what is typed, and many at once. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { openStore, type Store } from '../../../src/store/database/connect.js';
import { freshDatabase, START, testMongodbUri } from '../../support/harness.js';

let store: Store;
beforeAll(async () => {
  store = await openStore({ uri: testMongodbUri(), clock: () => START, database: freshDatabase() });
});
afterAll(() => store.close());

it('finds users by the beginning of their e-mail, and by their ids', async () => {
  const rest = { passwordHash: 'hash', firstname: null, lastname: null, role: null };
  const emails = ['anna@example.com', 'anne.b@example.com', 'annexb@example.com', 'bert@x.example'];
  const users = await Promise.all(emails.map((email) => store.users.insert({ email, ...rest })));
  const [anna, anne, annex, bert] = users.map(({ id }) => id);
  expect(await store.users.idsByText('ANN', 10)).toEqual([anna, anne, annex]);
  expect(await store.users.idsByText('ANN', 2)).toEqual([anna, anne]);
  expect(await store.users.idsByText('anne.b', 10)).toEqual([anne]);
  for (const text of ['', 'example', '.*', '^', '$gt', '\u0000', 'x'.repeat(128)])
    expect([text, await store.users.idsByText(text, 10)]).toEqual([text, []]);
  const found = await store.users.findByIds(
    [anna, bert, anna, 'nonsense', 'f'.repeat(24)].map(String),
  );
  expect(found.toSorted((a, b) => (a.email < b.email ? -1 : 1))).toEqual([users[0], users[3]]);
  expect(JSON.stringify(found)).not.toContain('hash');
  expect(await store.users.findByIds([])).toEqual([]);
});
