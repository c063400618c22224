/**
 * Tiledesk's JWT history, v1, v2, v3 and unversioned: list tokens, revoke one by `jti` or by record
 * id, register one that was minted elsewhere.
 */
import type { Request, RequestHandler, Router } from 'express';
import { authenticateAroundBody, isAdministrator, principalOf } from '../../auth/authenticate.js';
import type { ConfirmCaller } from '../../auth/confirm-caller.js';
import type { Principal } from '../../auth/principal.js';
import type { Clock } from '../../clock.js';
import { forbidden, invalidInput, notFound } from '../../errors.js';
import { parseJsonBody, requireJsonContentType } from '../../http/body.js';
import { parseIdParameter, parseQuery } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { createRouter } from '../../http/router.js';
import type { Trail } from '../../audit/trail.js';
import { recordVanished, type Revoker } from '../../revocation/revoke.js';
import type { TokenRecord } from '../../store/records.js';
import { isRecordId } from '../../store/records.js';
import type { TokenLookup } from '../../store/tokens/lookup.js';
import type { TokenSearches } from '../../store/tokens/query/search.js';
import type { UserStore } from '../../store/users/users.js';
import { stateOf } from '../../tokens/state.js';
import type { TokenRegistrar } from '../../tokens/registrar.js';
import type { UsageRecorder } from '../../tokens/usage-recorder.js';
import { historyQuery, parseRegistration, toTokenFilter } from './input.js';
import { toWireRecord } from '../../tokens/wire.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly tokens: Pick<TokenLookup & TokenSearches, 'findById' | 'findByJti' | 'list' | 'count'>;
  readonly users: UserStore;
  readonly usage: UsageRecorder;
  readonly revoker: Revoker;
  readonly registrar: TokenRegistrar;
  readonly isRevoked: (record: TokenRecord) => boolean;
  readonly confirmCaller: ConfirmCaller;
  /** What was revoked just now says so in its record, so that it is found and counted as revoked. */
  readonly settled: () => Promise<void>;
  readonly clock: Clock;
  readonly config: { readonly onPremises: boolean };
  readonly unknownTokens: 'adopt' | 'allow' | 'deny';
  readonly trail: Pick<Trail, 'record'>;
}

const V1 = '/v1/jwt/history';
const LISTED = ['/v2/jwt/history', '/v3/jwt/history', '/jwt/history'];

export function createJwtHistoryRouter(deps: Dependencies): Router {
  const { authenticate, tokens, users, usage, revoker, registrar, clock } = deps;

  async function callerOf(req: Request) {
    const principal = principalOf(req);
    return { userId: principal.userId, isAdministrator: await isAdministrator(principal, users) };
  }

  /** With the state that a check would answer. */
  const toWire = (record: TokenRecord) =>
    toWireRecord(record, stateOf(record, clock(), deps.isRevoked));

  const isOwn = (principal: Principal, record: TokenRecord) => record.userId === principal.userId;

  /** Whether all of them are the caller's, or else the caller is an administrator: only then is that asked. */
  const mayRevoke = async (principal: Principal, records: readonly TokenRecord[]) =>
    (records.length > 0 && records.every((record) => isOwn(principal, record))) ||
    (await isAdministrator(principal, users));

  const listHistory: RequestHandler = async (req, res) => {
    const caller = await callerOf(req);
    const query = parseQuery(req, historyQuery(caller.isAdministrator));
    const filter = toTokenFilter(query, caller.userId);
    // The caller's own token may have been seen for the first time just now.
    await Promise.all([usage.flush(), deps.settled()]);
    const { sortField, direction, page, limit } = query;
    const [records, count] = await Promise.all([
      tokens.list(filter, { sortField, direction, skip: page * limit, limit }),
      tokens.count(filter),
    ]);
    res.set('Cache-Control', 'no-store').json({
      perPage: limit,
      ...count,
      page,
      jwts: records.map(toWire),
    });
  };

  const revokeByJti: RequestHandler = async (req, res) => {
    const jti = parseIdParameter(req, 'jti');
    const principal = principalOf(req);
    const context = {
      by: principal.userId,
      via: 'tiledesk',
      reason: null,
      requestId: requestIdOf(res),
    };
    // The caller's own token may have been seen for the first time just now.
    await usage.adopted(jti);
    const found = await tokens.findByJti(jti);
    const mayAll = await mayRevoke(principal, found);
    const records = mayAll ? found : found.filter((record) => isOwn(principal, record));
    if (records.length === 0 && !mayAll) throw notFound('token');
    // Where tokens leave no record, this id may have been seen of other issuers too.
    const hasUnseen =
      records.length === 0 ||
      (deps.unknownTokens === 'allow' && mayAll && (await isAdministrator(principal, users)));
    const outcomes = await Promise.all([
      ...records.map((record) => revoker.revokeRecord(record, context)),
      ...(hasUnseen ? [revoker.revokeUnseen(jti, context)] : []),
    ]);
    const first = outcomes.find((outcome) => outcome !== null);
    if (!first) throw notFound('token');
    if (outcomes.includes(null)) throw recordVanished();
    res.set('Cache-Control', 'no-store').json(toWire(first.record));
  };

  const revokeById: RequestHandler = async (req, res) => {
    const id = parseIdParameter(req, 'id');
    if (!isRecordId(id))
      throw invalidInput('id', "must be the 24 hexadecimal digits of a record's _id.");
    const principal = principalOf(req);
    const record = await tokens.findById(id);
    const may = await mayRevoke(principal, record === null ? [] : [record]);
    if (record === null || !may) throw notFound('token');
    const revoked = await revoker.revokeRecord(record, {
      by: principal.userId,
      via: 'tiledesk',
      reason: null,
      requestId: requestIdOf(res),
    });
    if (revoked === null) throw notFound('token');
    res.set('Cache-Control', 'no-store').json(toWire(revoked.record));
  };

  const register: RequestHandler = async (req, res) => {
    const caller = await callerOf(req);
    if (!caller.isAdministrator) throw forbidden();
    const registration = parseRegistration(req, clock());
    // Registering lets a token in where unknown ones are denied.
    await deps.confirmCaller(principalOf(req), 'administrator');
    const { outcome, record } = await registrar.register(registration);
    if (outcome === 'registered') {
      const { id: tokenId, jti, userId, applicationId } = record;
      deps.trail.record({
        type: 'token.registered',
        by: caller.userId,
        via: 'tiledesk',
        requestId: requestIdOf(res),
        tokenId,
        jti,
        userId,
        applicationId,
      });
    }
    res
      .status(outcome === 'registered' ? 201 : 200)
      .set('Cache-Control', 'no-store')
      .json(toWire(record));
  };

  const router = createRouter();
  const steps = authenticateAroundBody(authenticate);
  const v1Steps = [requireOnPremises(deps.config.onPremises), ...steps, requireJsonContentType];
  router.delete(`${V1}/:jti`, v1Steps, revokeByJti);
  router.delete(`${V1}/id/:id`, v1Steps, revokeById);
  router.all(
    [`${V1}/:jti`, `${V1}/id/:id`],
    requireOnPremises(deps.config.onPremises),
    methodNotAllowed('DELETE'),
  );
  router.post('/v3/jwt/history', authenticateAroundBody(authenticate, parseJsonBody), register);
  for (const path of LISTED) {
    router.get(path, authenticate, listHistory);
    router.all(
      path,
      path.startsWith('/v3')
        ? methodNotAllowed('GET', 'HEAD', 'POST')
        : methodNotAllowed('GET', 'HEAD'),
    );
    router.delete(`${path}/:jti`, steps, revokeByJti);
    router.delete(`${path}/id/:id`, steps, revokeById);
    router.all([`${path}/:jti`, `${path}/id/:id`], methodNotAllowed('DELETE'));
  }
  return router;
}

/** v1 belongs to on-premises installations. */
function requireOnPremises(onPremises: boolean): RequestHandler {
  return function checkOnPremises(_req, _res, next) {
    if (!onPremises) {
      throw notFound(
        'path: v1 is for on-premises installations (ON_PREMISES=true). Use /v2 or /v3',
      );
    }
    next();
  };
}
