/** The page's files: read once at the start, compressed once, and served with a policy that lets nothing else in. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { Request, RequestHandler, Response, Router } from 'express';
import { methodNotAllowed } from '../http/problem.js';
import { createRouter } from '../http/router.js';

/** Beside the compiled sources; the sources themselves, under test, use the same build. */
const FOLDER = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/page/' : '../page/',
  import.meta.url,
);

const FILES = {
  'index.html': 'text/html; charset=utf-8',
  'main.js': 'text/javascript; charset=utf-8',
  'style.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
} as const;

/** No other host, nothing inline, in no frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface Asset {
  readonly type: string;
  readonly plain: Buffer;
  readonly gzipped: Buffer;
  readonly etag: string;
}

export function createPageRouter(): Router {
  const router = createRouter();
  const assets = new Map(
    Object.entries(FILES).map(([name, type]) => [name, readAsset(name, type)]),
  );

  const send =
    (name: string): RequestHandler =>
    (req, res) => {
      sendAsset(req, res, assets.get(name) ?? null);
    };
  router.get('/', send('index.html'));
  router.all('/', methodNotAllowed('GET', 'HEAD'));
  for (const name of Object.keys(FILES).filter((each) => each !== 'index.html')) {
    router.get(`/page/${name}`, send(name));
    router.all(`/page/${name}`, methodNotAllowed('GET', 'HEAD'));
  }
  return router;
}

/** null = the page has not been built. */
function readAsset(name: string, type: string): Asset | null {
  try {
    const plain = readFileSync(new URL(name, FOLDER));
    const etag = `W/"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`;
    return { type, plain, gzipped: gzipSync(plain, { level: 9 }), etag };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return null;
  }
}

function sendAsset(req: Request, res: Response, asset: Asset | null): void {
  if (asset === null) {
    res
      .status(503)
      .set('Retry-After', '60')
      .type('text')
      .send('The page has not been built: run "npm run build".\n');
    return;
  }
  res.set({
    'Content-Security-Policy': POLICY,
    // Asked for anew each time, answered with 304 unless the service was upgraded.
    'Cache-Control': 'no-cache',
    ETag: asset.etag,
    Vary: 'Accept-Encoding',
  });
  if (req.get('if-none-match') === asset.etag) {
    res.status(304).end();
    return;
  }
  const acceptsGzip = req.acceptsEncodings('gzip') === 'gzip';
  if (acceptsGzip) res.set('Content-Encoding', 'gzip');
  res.type(asset.type).send(acceptsGzip ? asset.gzipped : asset.plain);
}
