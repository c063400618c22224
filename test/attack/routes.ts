/** What the sources say of the routes, learnt once for each service. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runChild } from '../../bench/children.js';
import type { Target } from './attack.js';
import type { LearntRoute } from './routes-child.js';

export async function learnRoutes({ dataDir }: Target): Promise<LearntRoute[]> {
  const file = join(dataDir, 'attack-routes.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as LearntRoute[];
  const child = new URL('./routes-child.ts', import.meta.url).href;
  const routes = await runChild<LearntRoute[]>(child, null);
  writeFileSync(file, JSON.stringify(routes));
  return routes;
}
