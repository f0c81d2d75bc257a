/**
 * When to ask for the whole picture anew. Pure: times are arguments, in milliseconds.
 *
 * INVARIANT: between two questions lie at least two seconds, and twice as long after each question
 * that no keyframe answered: a picture may be long on its way, and asking again in short steps would
 * only lengthen the way.
 */

const EVERY_MS = 2000;
const LATEST_MS = 16000;

/** Paces the questions of one connection. */
export class Asking {
  #askedAt = -Infinity;
  #everyMs = EVERY_MS;
  /** When to ask for a picture that should have come by itself. @type {number | null} */
  #overdueAt = null;

  /** A picture should have come by then. @param {number} at */
  expect(at) {
    this.#overdueAt = at;
  }

  /** Whether a picture is to come. */
  get isExpecting() {
    return this.#overdueAt !== null;
  }

  /** No picture is expected. */
  expectNone() {
    this.#overdueAt = null;
  }

  /** A keyframe was painted. */
  answered() {
    this.#overdueAt = null;
    this.#everyMs = EVERY_MS;
  }

  /** @param {number} now */
  isOverdue(now) {
    return this.#overdueAt !== null && now >= this.#overdueAt;
  }

  /** Whether it may be asked now; then it is taken for asked. @param {number} now */
  ask(now) {
    if (now - this.#askedAt < this.#everyMs) return false;
    this.#askedAt = now;
    this.#everyMs = Math.min(this.#everyMs * 2, LATEST_MS);
    return true;
  }
}
