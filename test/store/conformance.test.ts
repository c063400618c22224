/** The store's conformance suite on the embedded engine, and on a real replica set where a mongod is to be had. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MongoMemoryReplSet } from 'mongodb-memory-server';
import { openStore } from '../../src/store/database/connect.js';
import { testMongodbUri } from '../support/harness.js';
import { describeRevoked } from '../support/revoked-conformance.js';
import { describeStore } from '../support/store-conformance.js';

describeStore('the embedded engine', testMongodbUri);
describeRevoked('the embedded engine', testMongodbUri);

const mongod = process.env['MONGOMS_SYSTEM_BINARY'] ?? findMongod();

if (mongod === null) {
  it('has no mongod here', () => {
    process.stderr.write(
      'SKIPPED: the store on a replica set. Install mongod, or set MONGOMS_SYSTEM_BINARY to its path.\n',
    );
    expect(process.env['JWT_HISTORY_TEST_MONGOD']).toBeUndefined();
  });
} else {
  describe('with mongod', () => {
    let replicaSet: MongoMemoryReplSet;
    beforeAll(async () => {
      replicaSet = await MongoMemoryReplSet.create({
        binary: { systemBinary: mongod },
        replSet: { count: 1, storageEngine: 'wiredTiger' },
      });
    });
    afterAll(() => replicaSet.stop());
    describeStore('a replica set', () => replicaSet.getUri());
    describeRevoked('a replica set', () => replicaSet.getUri());
  });
}

it('gives up within seconds on an address where nobody listens', async () => {
  await expect(openStore({ uri: 'mongodb://127.0.0.1:9/', clock: Date.now })).rejects.toMatchObject(
    { code: 'unavailable' },
  );
});

function findMongod(): string | null {
  try {
    return execFileSync('which', ['mongod'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}
