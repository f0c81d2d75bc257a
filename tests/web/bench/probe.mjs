// @ts-check
/**
 * Sees what is on view, independent of what a client says of itself. After each task that painted it
 * reads a row of pixels for each mark, in the thread that painted, which costs microseconds; drawing
 * the canvas from elsewhere would cost many milliseconds a frame and measure itself.
 *
 * What is on view is what the surface holds when the task that painted it ends: several calls of one
 * task are one painting. All times are milliseconds since 1970 by the system's clock.
 */

/**
 * @typedef {{ x: number, y: number }} Place
 * @typedef {Place & { width: number, height: number }} Area
 * @typedef {{ at: number, numbers: (number | null)[] }} Painting the number of each mark, null where none can be read
 * @typedef {{ number: number, base64: string }} Sample pixels of the area, while that number was on view
 * @typedef {import('playwright-core').Worker | import('playwright-core').Page} Target
 */

/** Colours that differ less than this in every channel are the same one, lossily coded. */
const SAME_COLOR = 48;
/** Pixels are kept at most so often and so many times, for their cost. */
const SAMPLE_EVERY_MS = 400;
const MAX_SAMPLES = 24;

export class Probe {
  #target;
  /** How far the browser's clock is ahead of the system's. */
  clockAhead = 0;

  /** @param {Target} target */
  constructor(target) {
    this.#target = target;
  }

  /**
   * @param {Target} target the thread that paints; its `benchSurface` is set by now
   * @param {Place} square a pixel that answers keys
   */
  static async start(target, square) {
    const probe = new Probe(target);
    const options = { square, SAME_COLOR, SAMPLE_EVERY_MS, MAX_SAMPLES };
    probe.clockAhead = await run(target, install, options);
    return probe;
  }

  /** Watches other marks from now on, and keeps samples of an area. @param {Place[]} marks @param {Area | null} area */
  async watch(marks, area = null) {
    await run(this.#target, ({ marks, area }) => (/** @type {any} */ (globalThis)).probe.watch(marks, area), { marks, area });
  }

  /** What was on view since it was asked last. @returns {Promise<Painting[]>} */
  async paintings() {
    const list = await run(this.#target, () => (/** @type {any} */ (globalThis)).probe.paintings.splice(0), null);
    return list.map((/** @type {Painting} */ { at, numbers }) => ({ at: at - this.clockAhead, numbers }));
  }

  /** @returns {Promise<Sample[]>} */
  samples() {
    return run(this.#target, () => (/** @type {any} */ (globalThis)).probe.takeSamples(), null);
  }

  /** Forgets how the square looked. */
  async armSquare() {
    await run(this.#target, () => (/** @type {any} */ (globalThis)).probe.arm(), null);
  }

  /** When the square changed after it was armed, or null. @param {number} timeoutMs @returns {Promise<number | null>} */
  async squareChanged(timeoutMs) {
    const at = await run(this.#target, (ms) => (/** @type {any} */ (globalThis)).probe.changed(ms), timeoutMs);
    return at === null ? null : at - this.clockAhead;
  }

  /** Milliseconds that a look has cost. @returns {Promise<number>} */
  cost() {
    return run(this.#target, () => {
      const { spent, looks } = (/** @type {any} */ (globalThis)).probe;
      return looks ? spent / looks : 0;
    }, null);
  }
}

/**
 * Pages and workers evaluate alike, which their types do not say.
 * @template A
 * @param {Target} target @param {(argument: A) => any} code @param {A} argument @returns {Promise<any>}
 */
const run = (target, code, argument) => (/** @type {any} */ (target)).evaluate(code, argument);

/**
 * Runs in the thread that paints, where `benchSurface` has `read(areas)` for pixels of what is on view
 * at that moment, or a promise of them, and `wrap(after)` that has `after` called with each call that
 * paints. Answers how far this thread's clock is ahead of the system's, which has only milliseconds:
 * it is read when it has just changed.
 * @param {{ square: Place, SAME_COLOR: number, SAMPLE_EVERY_MS: number, MAX_SAMPLES: number }} options
 */
function install({ square, SAME_COLOR, SAMPLE_EVERY_MS, MAX_SAMPLES }) {
  const own = /** @type {any} */ (globalThis);
  const surface = own.benchSurface;
  const now = () => performance.timeOrigin + performance.now();
  /** @type {{ x: number, y: number }[]} */
  let marks = [];
  /** @type {any} */
  let area = null;
  /** @type {{ number: number, pixels: Uint8ClampedArray }[]} */
  let samples = [];
  let sampledAt = -Infinity;
  let last = '';
  /** @type {ArrayLike<number> | null} */
  let before = null;
  /** @type {number | null} */
  let changedAt = null;
  /** @type {((at: number) => void) | null} */
  let answer = null;
  let isDue = false;

  /** As tests/src/mark.rs draws it: white, black, twelve bits, two bits of the count of ones. @param {ArrayLike<number>} row */
  const decode = (row) => {
    let [word, ones] = [0, 0];
    for (let block = 0; block < 16; block += 1) {
      const bit = (row[(block * 16 + 8) * 4 + 1] ?? 0) >= 128 ? 1 : 0;
      word = word << 1 | bit;
      if (block >= 2 && block < 14) ones += bit;
    }
    return word >> 14 === 2 && (word & 3) === (ones & 3) ? word >> 2 & 0xfff : null;
  };
  /** @param {ArrayLike<number>} one @param {ArrayLike<number>} other */
  const isOther = (one, other) => [0, 1, 2].some((at) => Math.abs((one[at] ?? 0) - (other[at] ?? 0)) > SAME_COLOR);
  /** All areas of one picture, at once or later. @param {number[][]} areas @param {(pixels: Uint8ClampedArray[]) => void} then */
  const read = (areas, then) => {
    const pixels = surface.read(areas);
    if (Array.isArray(pixels)) then(pixels);
    else pixels.then(then);
  };
  const look = () => {
    isDue = false;
    const at = now();
    const isArmed = before !== null && changedAt === null;
    const isSampled = area && at - sampledAt > SAMPLE_EVERY_MS && samples.length < MAX_SAMPLES;
    const rows = marks.map(({ x, y }) => [x, y + 8, 256, 1]);
    const others = [...isArmed ? [[square.x, square.y, 1, 1]] : [], ...isSampled ? [[area.x, area.y, area.width, area.height]] : []];
    if (rows.length + others.length === 0) return;
    read([...rows, ...others], (pixels) => {
      const found = pixels.splice(0, rows.length).map(decode);
      const text = found.join();
      if (text !== last && found.length > 0) own.probe.paintings.push({ at, numbers: found });
      last = text;
      const color = isArmed ? pixels.shift() : undefined;
      if (color && before && changedAt === null && isOther(color, before)) {
        changedAt = at;
        answer?.(at);
      }
      const [number] = found;
      const sample = pixels.shift();
      if (sample && typeof number === 'number' && found.every((other) => other === number)) {
        sampledAt = at;
        samples.push({ number, pixels: sample });
      }
      if (!sample) {
        own.probe.looks += 1;
        own.probe.spent += now() - at;
      }
    });
  };
  own.probe = {
    paintings: [], looks: 0, spent: 0,
    /** @param {{ x: number, y: number }[]} places @param {any} sampled */
    watch(places, sampled) {
      [marks, area, samples, sampledAt, last] = [places, sampled, [], -Infinity, ''];
      own.probe.paintings = [];
    },
    arm: () => new Promise((resolve) => {
      read([[square.x, square.y, 1, 1]], ([color]) => {
        [before, changedAt, answer] = [color ?? null, null, null];
        resolve(null);
      });
    }),
    /** @param {number} ms @returns {Promise<number | null>} */
    changed: (ms) => new Promise((resolve) => {
      if (changedAt !== null) return resolve(changedAt);
      const timer = setTimeout(() => resolve(null), ms);
      answer = (at) => {
        clearTimeout(timer);
        resolve(at);
      };
      return undefined;
    }),
    takeSamples: () => samples.splice(0).map(({ number, pixels }) => {
      let text = '';
      for (let at = 0; at < pixels.length; at += 32_768) text += String.fromCharCode(...pixels.subarray(at, at + 32_768));
      return { number, base64: btoa(text) };
    }),
  };
  surface.wrap(() => {
    if (isDue) return;
    isDue = true;
    queueMicrotask(look);
  });
  let ahead = Infinity;
  for (let round = 0; round < 20; round += 1) {
    const start = Date.now();
    while (Date.now() === start);
    const at = now();
    ahead = Math.min(ahead, at - Date.now());
  }
  return ahead;
}
