// @ts-check
/**
 * Sees pixels change, independent of what the client says of itself: after each painting it reads
 * two pixels of the visible canvas in the worker that painted, which costs microseconds. Reading the
 * canvas from the page would cost many milliseconds a frame and measure itself.
 *
 * All times are milliseconds since 1970 by the system's clock.
 */

/**
 * @typedef {{ x: number, y: number }} Place
 * @typedef {{ color: number, at: number }} Change
 * @typedef {import('playwright-core').Worker} Worker
 */

/** Watches some pixels. */
export class Probe {
  #worker;
  /** How far the browser's clock is ahead of the system's. */
  clockAhead;

  /** @param {Worker} worker @param {number} clockAhead */
  constructor(worker, clockAhead) {
    this.#worker = worker;
    this.clockAhead = clockAhead;
  }

  /** @param {Worker} worker @param {Place[]} places */
  static async start(worker, places) {
    return new Probe(worker, await worker.evaluate(install, places));
  }

  /** How often the pixel of this number has changed. @param {number} place @returns {Promise<number>} */
  count(place) {
    return this.#worker.evaluate((place) => (/** @type {any} */ (self)).probe.changes[place].length, place);
  }

  /** The changes so far, which are forgotten. @param {number} place @returns {Promise<Change[]>} */
  async take(place) {
    const changes = await this.#worker.evaluate(
      (place) => (/** @type {any} */ (self)).probe.changes[place].splice(0), place);
    return changes.map(({ color, at }) => ({ color, at: at - this.clockAhead }));
  }

  /** Milliseconds that a look has cost. @returns {Promise<number>} */
  cost() {
    return this.#worker.evaluate(() => {
      const { spent, looks } = (/** @type {any} */ (self)).probe;
      return looks ? spent / looks : 0;
    });
  }
}

/**
 * Runs in the worker. Answers how far its clock is ahead of the system's, which has only
 * milliseconds: it is read when it has just changed.
 * @param {Place[]} places
 */
function install(places) {
  const own = /** @type {any} */ (self);
  const { context } = own.lattice;
  const put = context.putImageData;
  const last = places.map(() => -1);
  own.probe = { changes: places.map(() => []), looks: 0, spent: 0 };
  const now = () => performance.timeOrigin + performance.now();
  context.putImageData = (/** @type {any[]} */ ...args) => {
    put.apply(context, args);
    const at = now();
    for (const [place, { x, y }] of places.entries()) {
      const [red, green, blue] = context.getImageData(x, y, 1, 1).data;
      const color = red << 16 | green << 8 | blue;
      if (color !== last[place]) own.probe.changes[place].push({ color, at });
      last[place] = color;
    }
    own.probe.looks += 1;
    own.probe.spent += now() - at;
  };
  let ahead = Infinity;
  for (let round = 0; round < 20; round += 1) {
    const before = Date.now();
    while (Date.now() === before);
    const at = now();
    ahead = Math.min(ahead, at - Date.now());
  }
  return ahead;
}
