// @ts-check
/** Waiting by looking again and again. */

export const GENEROUS_MS = 20_000;

/** @param {number} ms */
export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** A bound that is under test, stretched by `LATTICE_TEST_PATIENCE` for busy machines. @param {number} ms */
export const patience = (ms) => ms * Number(process.env.LATTICE_TEST_PATIENCE ?? 1);

/**
 * Looks until `look` finds something that is true.
 * @template T
 * @param {string} what
 * @param {() => T | Promise<T>} look
 * @param {number} timeoutMs
 * @returns {Promise<NonNullable<T>>}
 */
export async function eventually(what, look, timeoutMs = GENEROUS_MS) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await sleep(20);
  }
}
