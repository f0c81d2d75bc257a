/**
 * Proof that the visible canvas is the desktop, pixel for pixel.
 *
 * A digest holds for one frame. When that frame is the present one, the bands that were painted
 * since they were last proven are hashed at once, and the others in turn, again and again.
 *
 * INVARIANT: `exact` is true only while nothing was painted after the frame of the digest, and each
 * band hashed to what the digest says when it was last read: after it was last painted, and no longer
 * ago than one round over all bands takes, `ROUND` calls of `recheckNext`.
 */

import { BAND_HEIGHT } from '../protocol/server.js';

/** @import { Digest, Rect } from '../protocol/types.js' */

/**
 * @typedef {{ epoch: number, id: number, width: number, height: number }} At
 */

/** A wrong picture is reported this long before it is healed. */
const HEAL_AFTER_MS = 1000;
/** So many calls of `recheckNext` read each band once. */
export const ROUND = 8;

/** Compares bands of the canvas with digests. */
export class Verifier {
  #hashBand;
  /** @type {At | null} */
  #at = null;
  /** @type {Digest | null} */
  #digest = null;
  /** Hashes that were proven and not painted over since. @type {(number | null)[]} */
  #proven = [];
  /** @type {Set<number>} */
  #wrong = new Set();
  /** @type {number | null} */
  #wrongSince = null;
  #step = 0;
  mismatches = 0;

  /** @param {(band: number) => number} hashBand reads the visible canvas */
  constructor(hashBand) {
    this.#hashBand = hashBand;
  }

  get exact() {
    return this.#digest !== null && this.#wrong.size === 0;
  }

  /** A frame was painted. @param {At} at @param {readonly Rect[]} dirty */
  painted(at, dirty) {
    const bands = Math.ceil(at.height / BAND_HEIGHT);
    if (this.#at?.width !== at.width || this.#at.height !== at.height) this.#proven = Array(bands).fill(null);
    for (const { y, height } of dirty) {
      const last = Math.floor((y + height - 1) / BAND_HEIGHT);
      for (let band = Math.floor(y / BAND_HEIGHT); band <= last; band += 1) this.#proven[band] = null;
    }
    this.#at = { epoch: at.epoch, id: at.id, width: at.width, height: at.height };
    this.#digest = null;
    this.#wrong.clear();
  }

  /** The connection or the display is gone: nothing is proven any more. */
  forget() {
    this.#digest = null;
    this.#wrong.clear();
    this.#wrongSince = null;
  }

  /** A digest came. @param {Digest} digest @param {number} now @returns {boolean} whether it is of the present frame */
  compare(digest, now) {
    const at = this.#at;
    const fits = at !== null && digest.epoch === at.epoch && digest.id === at.id
      && digest.width === at.width && digest.height === at.height;
    if (!fits) return false;
    this.#digest = digest;
    for (const [band, hash] of digest.bands.entries()) if (this.#proven[band] !== hash) this.#check(band);
    this.#settle(now);
    return true;
  }

  /** Hashes every band again. @param {number} now @returns {boolean} whether there is anything to hash */
  recheckAll(now) {
    if (!this.#digest) return false;
    for (const band of this.#digest.bands.keys()) this.#check(band);
    this.#settle(now);
    return true;
  }

  /**
   * Hashes the next bands of the round, which goes on where it was whatever is painted meanwhile.
   * @param {number} now @returns {boolean} whether there is anything to hash
   */
  recheckNext(now) {
    if (!this.#digest) return false;
    const { length } = this.#digest.bands;
    const from = Math.floor((this.#step * length) / ROUND);
    const to = Math.floor(((this.#step + 1) * length) / ROUND);
    for (let band = from; band < to; band += 1) this.#check(band);
    this.#step = (this.#step + 1) % ROUND;
    this.#settle(now);
    return true;
  }

  /** Whether the picture has been wrong for so long that it should be asked for again. @param {number} now */
  needsHealing(now) {
    return this.#wrong.size > 0 && this.#wrongSince !== null && now - this.#wrongSince >= HEAL_AFTER_MS;
  }

  /** @param {number} band */
  #check(band) {
    const hash = this.#hashBand(band);
    const right = hash === this.#digest?.bands[band];
    this.#proven[band] = right ? hash : null;
    if (right) this.#wrong.delete(band);
    else this.#wrong.add(band);
  }

  /** @param {number} now */
  #settle(now) {
    if (this.#wrong.size === 0) this.#wrongSince = null;
    else if (this.#wrongSince === null) {
      this.#wrongSince = now;
      this.mismatches += 1;
    }
  }
}
