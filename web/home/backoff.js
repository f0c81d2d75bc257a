/** How long to wait before the next try. Pure. */

const FIRST_MS = 1000;
const LONGEST_MS = 30_000;

/**
 * Doubles with each failure in a row. Half of it is left to chance: a school's pages shall not all
 * come back in the same instant.
 * @param {number} failures in a row, at least 1
 * @param {number} random 0 to 1
 */
export function backoffMs(failures, random) {
  const most = Math.min(FIRST_MS * 2 ** Math.min(failures - 1, 10), LONGEST_MS);
  return Math.round(most / 2 + (most / 2) * random);
}
