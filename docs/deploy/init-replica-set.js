/**
 * For mongosh, on the first member's localhost: makes a replica set of the three members, `root`, and
 * the service's own user, which may read and write its database and nothing else. Each step may be
 * interrupted, and is left out where it was done; a changed password of the service's user is set.
 */
/* global connect, print, require, sleep */
const { readFileSync } = require('fs');

const FIRST = 'mongodb-1:27017';
const OTHERS = ['mongodb-2:27017', 'mongodb-3:27017'];
const DATABASE = 'jwt-history';
const AUTHENTICATION_FAILED = 18;
const PATIENCE_MS = 300_000;
const EVERY_MS = 500;

const secretOf = (name) => readFileSync(`/run/secrets/${name}`, 'utf8').trim();
const open = (host, credentials = '') =>
  connect(
    `mongodb://${credentials}${host}/admin?directConnection=true&serverSelectionTimeoutMS=5000`,
  );

function until(what, condition) {
  for (let waited = 0; ; waited += EVERY_MS) {
    const found = condition();
    if (found) return found;
    if (waited >= PATIENCE_MS) throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what}`);
    sleep(EVERY_MS);
  }
}

const local = open('127.0.0.1:27017');
// Alone at first: so it is the primary, and the users can be made.
if (!local.hello().setName) {
  local.adminCommand({
    replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host: FIRST, priority: 2 }] },
  });
}
const primary = until('there is a primary', () => local.hello().primary);

const rootPassword = secretOf('mongodb-root-password');
const openAsRoot = () =>
  open(
    primary === FIRST ? '127.0.0.1:27017' : primary,
    `root:${encodeURIComponent(rootPassword)}@`,
  );
let admin;
try {
  admin = openAsRoot();
} catch (error) {
  if (error.code !== AUTHENTICATION_FAILED) throw error;
  // Refused unless there is no user at all.
  local.createUser({ user: 'root', pwd: rootPassword, roles: ['root'] });
  admin = openAsRoot();
}

const own = admin.getSiblingDB(DATABASE);
const pwd = secretOf('mongodb-password');
if (own.getUser('jwt-history')) own.updateUser('jwt-history', { pwd });
else own.createUser({ user: 'jwt-history', pwd, roles: ['readWrite'] });

// One after the other, as MongoDB wants it: each has a vote, and has to have the data first.
for (const host of OTHERS) {
  const { config } = admin.adminCommand({ replSetGetConfig: 1 });
  if (!config.members.some((member) => member.host === host)) {
    const _id = Math.max(...config.members.map((member) => member._id)) + 1;
    const members = [...config.members, { _id, host }];
    admin.adminCommand({
      replSetReconfig: { ...config, version: config.version + 1, members },
    });
  }
  until(`${host} has the data`, () =>
    admin
      .adminCommand({ replSetGetStatus: 1 })
      .members.some(({ name, stateStr }) => name === host && /^(PRIM|SECOND)ARY$/.test(stateStr)),
  );
}
print('The replica set has its three members and its users.');
