/** How long a connection may be silent. Pure. */

const FIRST_MS = 12000;
const LATEST_MS = 60000;

/**
 * Nothing is heard while one large picture is on its way, since pings wait behind it: after each
 * connection that fell silent without a picture the next one is given twice as long.
 */
export class Patience {
  #limitMs = FIRST_MS;
  #hasPainted = false;

  /** A connection is being made. */
  begin() {
    this.#hasPainted = false;
  }

  painted() {
    this.#limitMs = FIRST_MS;
    this.#hasPainted = true;
  }

  /** Whether the connection shall be given up. @param {number} quietMs */
  isOver(quietMs) {
    if (quietMs <= this.#limitMs) return false;
    if (!this.#hasPainted) this.#limitMs = Math.min(this.#limitMs * 2, LATEST_MS);
    return true;
  }
}
