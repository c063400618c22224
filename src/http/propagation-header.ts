/** `Revocation-Propagation` on the answer of whatever revoked something: which instances refuse it by now. */
import type { RequestHandler } from 'express';
import { requestIdOf } from './request-id.js';

/** In the words of the header. */
interface Propagation {
  readonly instances: number;
  readonly confirmed: number;
  readonly expired: number;
  readonly waitMs: number;
}

/** @param take what is known of the request's revokes when its head is written; undefined = it made none. */
export function createPropagationHeader(
  take: (requestId: string) => Propagation | undefined,
): RequestHandler {
  return function announcePropagation(req, res, next) {
    if (req.method === 'GET' || req.method === 'HEAD' || req.method === 'OPTIONS') return next();
    const { writeHead } = res;
    res.writeHead = function writeHeadWithPropagation(...args: never[]) {
      const propagation = take(requestIdOf(res));
      const [status] = args as readonly unknown[];
      // Of one that failed nothing is said: a part may be in force everywhere, and the rest not.
      const isSure = (typeof status === 'number' ? status : res.statusCode) < 500;
      if (propagation !== undefined && isSure && !res.headersSent) {
        const { instances, confirmed, expired, waitMs } = propagation;
        res.setHeader(
          'Revocation-Propagation',
          `instances=${instances}; confirmed=${confirmed}; expired=${expired}; wait=${Math.round(waitMs)}ms`,
        );
      }
      return Reflect.apply(writeHead, res, args) as typeof res;
    } as typeof res.writeHead;
    next();
  };
}
