/** Routers to which a path is what it says, to the letter: another case, or a slash at its end, is another path, and none of ours. */
import { Router } from 'express';

/** Rules about paths (CORS, a proxy's, a log's) are written for one spelling, so there is only one. */
export function createRouter(): Router {
  return Router({ caseSensitive: true, strict: true });
}
