/** The configuration of the service where an attack can't do with the usual one. */
import { movableClock } from './clock.js';

/** One step of the clock: past the idle time of the dashboard (30 minutes), and past what lives shortly, with every leeway. */
export const STEP_S = 31 * 60;
/** Of FusionAuth's sessions and their access tokens. */
export const LIFETIME_S = 60;
/** In a minute. */
export const MINT_RATE = 60;
/** Fewer than by default, and fewer than the rate: so that a flood meets this limit first. */
export const MAX_ENDLESS = 40;

export function unusualSettings(): Readonly<Record<string, string>> {
  return {
    ...movableClock(STEP_S * 1000),
    FUSIONAUTH_TOKEN_TTL: `${LIFETIME_S}s`,
    REFRESH_TOKEN_TTL: `${LIFETIME_S}s`,
    MINT_RATE: String(MINT_RATE),
    MAX_ENDLESS_TOKENS: String(MAX_ENDLESS),
  };
}
