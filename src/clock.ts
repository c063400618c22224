/** The time, as something that can be handed in: everything that asks for "now" takes a Clock, so that tests can move it. */

/** Milliseconds since the epoch. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();

/**
 * Ends in the second after `time`. Who knows the time to the second dates what is signed from then
 * on later than `time`.
 */
export async function untilSecondAfter(time: Date): Promise<void> {
  const missing = (Math.floor(time.getTime() / 1000) + 1) * 1000 - Date.now();
  // No longer, should the clock have been set back meanwhile.
  if (missing > 0) await new Promise((resolve) => setTimeout(resolve, Math.min(missing, 1000)));
}
