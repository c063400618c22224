/** `/healthz` (the process lives) and `/readyz` (it can answer for its tokens): for Docker, Kubernetes and load balancers. */
import type { Router } from 'express';
import { methodNotAllowed } from './problem.js';
import type { Readiness } from './readiness.js';
import { createRouter } from './router.js';

/** @param readiness from memory: a health check must not wait for what it is about. */
export function createHealthRouter({ readiness }: { readonly readiness: () => Readiness }): Router {
  const router = createRouter();

  router.get('/healthz', (_req, res) => {
    res.set('Cache-Control', 'no-store').json({ status: 'ok' });
  });

  router.get('/readyz', (_req, res) => {
    const state = readiness();
    const canAnswer = state.status !== 'not ready';
    if (!canAnswer) res.set('Retry-After', '1');
    res
      .status(canAnswer ? 200 : 503)
      .set('Cache-Control', 'no-store')
      .json(state);
  });

  router.all(['/healthz', '/readyz'], methodNotAllowed('GET', 'HEAD'));
  return router;
}
