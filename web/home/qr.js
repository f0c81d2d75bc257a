/** A QR code as a path. Pure. */

import { encode } from '../vendor/uqr/index.mjs';

/** What readers need of light around it (ISO/IEC 18004). */
const QUIET = 4;

/**
 * The dark squares as rows of rectangles, in units of one square.
 * @param {string} text
 * @returns {{ size: number, path: string }}
 */
export function qrPath(text) {
  const { size, data } = encode(text, { ecc: 'M', border: QUIET });
  const path = data.flatMap((row, y) => runs(row).map(([x, length]) => `M${x} ${y}h${length}v1h-${length}z`));
  return { size, path: path.join('') };
}

/** Where dark squares begin and how many follow. @param {readonly boolean[]} row @returns {[number, number][]} */
function runs(row) {
  /** @type {[number, number][]} */
  const found = [];
  row.forEach((isDark, x) => {
    const last = found.at(-1);
    if (!isDark) return;
    if (last && last[0] + last[1] === x) last[1] += 1;
    else found.push([x, 1]);
  });
  return found;
}
