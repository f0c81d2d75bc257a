/** Figures for the statistics panel. Pure: times are arguments, in milliseconds. */

/**
 * The nearest-rank percentile, or null of nothing.
 * @param {readonly number[]} values in any order
 * @param {number} share from 0 to 1
 */
export function percentile(values, share) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const rank = Math.max(1, Math.ceil(share * sorted.length));
  return sorted[rank - 1];
}

/** The last values of a series, oldest first. */
export class Recent {
  /** @type {number[]} */
  #values = [];
  #limit;

  /** @param {number} limit */
  constructor(limit) {
    this.#limit = limit;
  }

  /** @param {number} value */
  add(value) {
    if (this.#values.push(value) > this.#limit) this.#values.shift();
  }

  get values() {
    return this.#values;
  }

  get last() {
    return this.#values.at(-1) ?? null;
  }
}

const BUCKET_MS = 100;
const BUCKETS = 10;

/** How much happened in the last second, in slots of 100 ms. */
export class Rate {
  #sums = new Float64Array(BUCKETS);
  #newest = 0;

  /** @param {number} now @param {number} amount */
  add(now, amount) {
    this.#forget(now);
    const at = this.#newest % BUCKETS;
    this.#sums[at] = (this.#sums[at] ?? 0) + amount;
  }

  /** @param {number} now */
  perSecond(now) {
    this.#forget(now);
    return this.#sums.reduce((sum, part) => sum + part, 0);
  }

  /** @param {number} now */
  #forget(now) {
    const slot = Math.floor(now / BUCKET_MS);
    const stale = Math.min(slot - this.#newest, BUCKETS);
    for (let step = 1; step <= stale; step += 1) this.#sums[(this.#newest + step) % BUCKETS] = 0;
    if (stale >= BUCKETS) this.#sums.fill(0);
    this.#newest = Math.max(slot, this.#newest);
  }
}

/** A key that changes nothing on the screen is forgotten: the next frame is not its answer. */
const FORGET_MS = 5000;
const MAX_PENDING = 256;

/** From keys to the frames that answer them. */
export class KeyLatency {
  /** @type {{ seq: number, at: number }[]} */
  #pending = [];
  samples = new Recent(128);
  count = 0;

  /** @param {number} seq @param {number} at when the key was pressed */
  pressed(seq, at) {
    this.#pending.push({ seq, at });
    if (this.#pending.length > MAX_PENDING) this.#pending.shift();
  }

  /**
   * A frame was painted that echoes `seq`. It answers the newest key that it can; older ones that
   * no frame answered had nothing to show.
   * @param {number} seq @param {number} now
   */
  painted(seq, now) {
    const answered = this.#pending.filter((key) => key.seq <= seq).at(-1);
    if (!answered) return;
    this.#pending = this.#pending.filter((key) => key.seq > seq);
    const spent = now - answered.at;
    if (spent < 0 || spent > FORGET_MS) return;
    this.samples.add(spent);
    this.count += 1;
  }

  forget() {
    this.#pending = [];
  }
}
