// The only place that waits: for a condition, at most so long.

import { setTimeout as pause } from 'node:timers/promises';

/** Longest time that anything which is expected may take, in milliseconds. */
const DEADLINE = 90_000;
/** Time between two looks, in milliseconds. */
const POLL = 50;

/** Asks until the answer is neither undefined, null nor false, and returns it. */
export async function until(what, look) {
  const end = Date.now() + DEADLINE;
  while (Date.now() < end) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    await pause(POLL);
  }
  throw new Error(`not within ${DEADLINE / 1000} s: ${what}`);
}
