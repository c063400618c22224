/** The servers that are compared, one in a process: `./http.ts` starts them and asks each what it spent. */
import { createSecretKey } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import express, { type Express, type Request, type Response } from 'express';
import { expressjwt } from 'express-jwt';
import jwt from 'jsonwebtoken';
import mongoose from 'mongoose';
import passport from 'passport';
import { ExtractJwt, Strategy as JwtStrategy } from 'passport-jwt';
import { createJti } from '../src/tokens/jti.js';
import { built, openCore } from './built-parts.js';
import { asChild, endWithParent, send } from './children.js';

export interface PeerTask {
  readonly peer: PeerName;
  /** Ids that the service's index is to hold, and the database that it loads them from. */
  readonly revoked: number;
  readonly database: string;
  readonly algorithm: 'HS256' | 'RS256';
  readonly secret: string;
  readonly privateKey: string;
  /** Of the embedded engine. */
  readonly uri: string;
}

/** What the process spent so far: time in its event loop's callbacks, and CPU time of all its threads. */
export interface Spent {
  readonly activeMs: number;
  readonly cpuMs: number;
}

export type PeerName =
  | 'node:http'
  | 'node:http + jsonwebtoken + Set'
  | 'Express'
  | 'Express + jsonwebtoken'
  | 'Express + passport-jwt + Set'
  | 'passport-jwt, string secret, 2 Mongoose look-ups'
  | 'express-jwt, isRevoked asks MongoDB'
  | 'GET /auth/verify'
  | 'Express + our passport middleware';

/** The other servers' revoked ids: few, which is in their favour. */
const OTHERS_REVOKED = 1000;
export const PEERS_DATABASE = 'bench-peers';

const answer = (_req: Request, res: Response) => {
  res.status(204).end();
};

const peers: Record<PeerName, (task: PeerTask) => RequestListener | Promise<RequestListener>> = {
  'node:http': () => (_req, res) => {
    res.writeHead(204).end();
  },

  'node:http + jsonwebtoken + Set': ({ secret }) => {
    const verify = verifierWith(secret);
    const revoked = revokedSet();
    return (req, res) => {
      const claims = verify(req);
      res.writeHead(claims === null || revoked.has(claims.jti) ? 401 : 204).end();
    };
  },

  Express: () => express().get('/', answer),

  'Express + jsonwebtoken': ({ secret }) => {
    const verify = verifierWith(secret);
    const authenticate: express.Handler = (req, res, next) => {
      if (verify(req) === null) res.status(401).end();
      else next();
    };
    return express().get('/', authenticate, answer);
  },

  'Express + passport-jwt + Set': ({ secret }) => {
    const revoked = revokedSet();
    const strategy = new JwtStrategy(
      {
        jwtFromRequest: ExtractJwt.fromAuthHeaderWithScheme('JWT'),
        // The types know no KeyObject; jsonwebtoken, which gets it, does.
        secretOrKey: createSecretKey(secret, 'utf8') as unknown as Buffer,
        algorithms: ['HS256'],
      },
      (payload: { jti: string }, done) => done(null, revoked.has(payload.jti) ? false : payload),
    );
    return behindPassport(strategy);
  },

  'passport-jwt, string secret, 2 Mongoose look-ups': async ({ secret, uri }) => {
    const { users, history } = await tiledeskModels(uri);
    const strategy = new JwtStrategy(
      {
        jwtFromRequest: ExtractJwt.fromAuthHeaderWithScheme('JWT'),
        secretOrKey: secret,
        algorithms: ['HS256'],
      },
      (payload: { _id: string; jti: string }, done) => {
        const find = async () => {
          const user = await users.findOne({ _id: payload._id, status: 100 });
          const record = await history.findOne({ jti: payload.jti });
          return user !== null && record?.get('state') !== 100 ? user : false;
        };
        // oxlint-disable-next-line promise/no-callback-in-promise -- passport-jwt knows callbacks only
        find().then((user) => done(null, user), done);
      },
    );
    return behindPassport(strategy);
  },

  'express-jwt, isRevoked asks MongoDB': async ({ secret, uri }) => {
    const { history } = await tiledeskModels(uri);
    return express().get(
      '/',
      expressjwt({
        secret: createSecretKey(secret, 'utf8'),
        algorithms: ['HS256'],
        getToken: tokenOf,
        isRevoked: async (_req, token) => {
          const { payload } = token as { payload: { jti: string } };
          return (await history.exists({ jti: payload.jti, state: 100 })) !== null;
        },
      }),
      answer,
    );
  },

  'GET /auth/verify': async (task) => (await coreOf(task)).service.handler,

  'Express + our passport middleware': async (task) => {
    const { service, keys } = await coreOf(task);
    const { createAuthenticate } = await built('auth/authenticate.js');
    const { checkCredentials } = service;
    return express().get(
      '/',
      createAuthenticate({ signIn: refuse, checkCredentials, keys }),
      answer,
    );
  },
};

function refuse(): never {
  throw new Error('only tokens are expected');
}

/** One look at the token for two servers: whether jsonwebtoken takes it, and what it says. */
function verifierWith(secret: string): (req: IncomingMessage) => { jti: string } | null {
  const key = createSecretKey(secret, 'utf8');
  const options = { algorithms: ['HS256' as const] };
  return (req) => {
    try {
      return jwt.verify(tokenOf(req), key, options) as { jti: string };
    } catch {
      return null;
    }
  };
}

function tokenOf(req: IncomingMessage): string {
  return (req.headers.authorization ?? '').slice(4);
}

function revokedSet(): Set<string> {
  return new Set(Array.from({ length: OTHERS_REVOKED }, () => createJti(Date.now())));
}

function behindPassport(strategy: JwtStrategy): Express {
  const authenticator = new passport.Passport();
  authenticator.use(strategy);
  const authenticate = authenticator.authenticate('jwt', { session: false }) as express.Handler;
  return express().get('/', authenticate, answer);
}

/** As in Tiledesk's server: the user and the token's history record, by Mongoose. */
async function tiledeskModels(uri: string) {
  const options = { dbName: PEERS_DATABASE, maxPoolSize: 100 };
  const connection = await mongoose.createConnection(uri, options).asPromise();
  const user = new mongoose.Schema({
    email: { type: String, index: true },
    firstname: String,
    lastname: String,
    status: { type: Number, index: true },
  });
  const history = new mongoose.Schema({ jti: { type: String, index: true }, state: Number });
  return {
    users: connection.model('user', user),
    history: connection.model('jwthistory', history),
  };
}

/** The service with its revocation list loaded, as at every start. */
async function coreOf(task: PeerTask) {
  const { algorithm, secret, privateKey, uri, database, revoked } = task;
  const signing =
    algorithm === 'HS256'
      ? { GLOBAL_SECRET: secret }
      : { GLOBAL_SECRET_OR_PRIVATE_KEY: privateKey };
  const settings = { MONGODB_URI: uri, GLOBAL_SECRET_ALGORITHM: algorithm, ...signing };
  const core = await openCore(settings, database);
  const { sync, follower, index } = core.service;
  await follower.start();
  if (index.size !== revoked) throw new Error(`${index.size} entries were loaded`);
  sync.start();
  return core;
}

await asChild(import.meta.url, async (task: PeerTask) => {
  const server = createServer(await peers[task.peer](task));
  endWithParent();
  server.listen(0, '127.0.0.1', () => {
    send({ port: (server.address() as AddressInfo).port });
  });
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    const activeMs = performance.eventLoopUtilization().active;
    send({ activeMs, cpuMs: (user + system) / 1000 } satisfies Spent);
  });
});
