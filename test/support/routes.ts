/** What the application answers, read from Express itself: a route that is added is in the list by itself. */
import type { Express } from 'express';

export interface Route {
  readonly method: string;
  readonly path: string;
  /** The names of its steps, in order. */
  readonly steps: readonly string[];
}

interface Layer {
  readonly name: string;
  readonly method?: string;
  readonly route?: { readonly path: string | readonly string[]; readonly stack: readonly Layer[] };
  readonly handle?: { readonly stack?: readonly Layer[] };
}

export function routesOf(app: Express): Route[] {
  return listed((app.router as unknown as { stack: readonly Layer[] }).stack);
}

function listed(stack: readonly Layer[]): Route[] {
  return stack.flatMap(({ route, handle }) => {
    if (route === undefined) return listed(handle?.stack ?? []);
    const methods = new Set(route.stack.flatMap(({ method }) => method ?? []));
    return [route.path].flat().flatMap((path) =>
      [...methods].map((method) => ({
        method: method.toUpperCase(),
        path,
        steps: route.stack.filter((step) => step.method === method).map(({ name }) => name),
      })),
    );
  });
}

export const CHANGING = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);
export const asksWho = ({ steps }: Route) => steps.some((step) => step.startsWith('authenticate'));
