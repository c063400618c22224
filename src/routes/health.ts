/** `/healthz` (the process lives) and `/readyz` (it can answer for its tokens): for Docker, Kubernetes and load balancers. */
import { Router } from 'express';
import { methodNotAllowed } from '../http/problem.js';

/** Each part that has to be well, by name. */
export type Readiness = () => Promise<Readonly<Record<string, boolean>>>;

export function createHealthRouter({ readiness }: { readonly readiness: Readiness }): Router {
  const router = Router();

  router.get('/healthz', (_req, res) => {
    res.set('Cache-Control', 'no-store').json({ status: 'ok' });
  });

  router.get('/readyz', async (_req, res) => {
    const checks = await readiness();
    const ready = Object.values(checks).every(Boolean);
    if (!ready) res.set('Retry-After', '1');
    res
      .status(ready ? 200 : 503)
      .set('Cache-Control', 'no-store')
      .json({ status: ready ? 'ready' : 'not ready', checks });
  });

  router.all(['/healthz', '/readyz'], methodNotAllowed('GET', 'HEAD'));
  return router;
}
