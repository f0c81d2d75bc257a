/**
 * When the visible canvas is compared with what the server says of it: at once when a digest comes, a
 * few bands in turn while somebody looks, and all of them while somebody asks.
 */

import { ROUND, Verifier } from './verify.js';

/** @import { Digest, Rect } from '../protocol/types.js' */
/** @import { At } from './verify.js' */

/** A wrong pixel is found within `ROUND` of these, for two thirds of a percent of a processor at 1080p. */
const RECHECK_MS = 250;
/** The same once every band was right since something was painted, for a quarter of that. */
const CALM_RECHECK_MS = 1000;
const CALM_AFTER = ROUND;
/** A page that asked for statistics this recently gets the whole canvas proven again and again. */
const POLLED_FOR_MS = 1500;

/** @typedef {{ changed(): void, wrong(): void }} Listener `wrong`: for so long that it has to be healed */

/** The proof of one canvas. */
export class Proof {
  #verifier;
  #listener;
  /** Of a frame that is still to be painted. @type {Digest | null} */
  #digest = null;
  #timer = 0;
  /** Whether it is the slow one. */
  #isCalm = false;
  /** Since something was painted, or was wrong. */
  #rechecks = 0;
  #polledAt = -Infinity;
  #isVisible = true;

  /** @param {(band: number) => number} hashBand reads the visible canvas @param {Listener} listener */
  constructor(hashBand, listener) {
    this.#verifier = new Verifier(hashBand);
    this.#listener = listener;
  }

  get exact() {
    return this.#verifier.exact;
  }

  get mismatches() {
    return this.#verifier.mismatches;
  }

  /** @param {At} at @param {Rect[]} dirty @param {boolean} isLast of those that wait @returns {boolean} whether something was compared */
  painted(at, dirty, isLast) {
    this.#rechecks = 0;
    this.#verifier.painted(at, dirty);
    return isLast && this.#digest !== null && this.#compare(this.#digest);
  }

  /**
   * A refresh brings the frame that is shown once more, so a digest of it waits while frames do.
   * @param {Digest} digest @param {boolean} isIdle whether no frame waits @returns {boolean} whether something was compared
   */
  received(digest, isIdle) {
    this.#digest = digest;
    return isIdle && this.#compare(digest);
  }

  /** What is shown is no longer what the server speaks of. */
  forget() {
    this.#digest = null;
    this.#verifier.forget();
  }

  /** No timer runs while there is no connection. */
  stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.forget();
  }

  /** Somebody asks. @param {boolean} isConnected */
  polled(isConnected) {
    this.#polledAt = performance.now();
    if (isConnected) this.#recheckSoon();
  }

  /** Who comes back to the page gets no proof from before. @param {boolean} isVisible @param {boolean} isConnected */
  seen(isVisible, isConnected) {
    this.#isVisible = isVisible;
    if (!isVisible || !isConnected) return;
    this.#verifier.recheckAll(performance.now());
    this.#listener.changed();
    this.#recheckSoon();
  }

  /** @param {Digest} digest */
  #compare(digest) {
    const now = performance.now();
    if (!this.#verifier.compare(digest, now)) return false;
    this.#digest = null;
    // Where a caret blinks the timer seldom finds a digest that still holds.
    if (this.#isVisible) this.#verifier.recheckNext(now);
    this.#recheckSoon();
    return true;
  }

  #recheckSoon() {
    const isCalm = this.#rechecks >= CALM_AFTER && performance.now() - this.#polledAt >= POLLED_FOR_MS;
    if (this.#timer && (isCalm || !this.#isCalm)) return;
    clearTimeout(this.#timer);
    this.#isCalm = isCalm;
    this.#timer = setTimeout(() => this.#recheck(), isCalm ? CALM_RECHECK_MS : RECHECK_MS);
  }

  #recheck() {
    this.#timer = 0;
    const now = performance.now();
    const isPolled = now - this.#polledAt < POLLED_FOR_MS;
    if (!isPolled && !this.#isVisible) return;
    const wasExact = this.exact;
    const goesOn = isPolled ? this.#verifier.recheckAll(now) : this.#verifier.recheckNext(now);
    this.#rechecks = this.exact ? this.#rechecks + 1 : 0;
    if (this.#verifier.needsHealing(now)) this.#listener.wrong();
    if (this.exact !== wasExact) this.#listener.changed();
    if (goesOn) this.#recheckSoon();
  }
}
