/**
 * The hash of a band of pixels, as `Digest` in `server/wire/src/picture.rs` defines it: eight lanes,
 * each step a bijection of its lane, so that one wrong pixel always changes the hash.
 */

const PRIME = 0x9e3779b1;
const RGB = 0x00ffffff;

/**
 * @param {Uint32Array} pixels RGBA bytes read as little-endian words; alpha does not count
 * @returns {number}
 */
export function hashPixels(pixels) {
  let [a, b, c, d, e, f, g, h] = [0, 1, 2, 3, 4, 5, 6, 7];
  const whole = pixels.length - (pixels.length % 8);
  let at = 0;
  for (; at < whole; at += 8) {
    a = Math.imul(a ^ (pixels[at] & RGB), PRIME);
    b = Math.imul(b ^ (pixels[at + 1] & RGB), PRIME);
    c = Math.imul(c ^ (pixels[at + 2] & RGB), PRIME);
    d = Math.imul(d ^ (pixels[at + 3] & RGB), PRIME);
    e = Math.imul(e ^ (pixels[at + 4] & RGB), PRIME);
    f = Math.imul(f ^ (pixels[at + 5] & RGB), PRIME);
    g = Math.imul(g ^ (pixels[at + 6] & RGB), PRIME);
    h = Math.imul(h ^ (pixels[at + 7] & RGB), PRIME);
  }
  const lanes = [a, b, c, d, e, f, g, h];
  for (let lane = 0; at < pixels.length; at += 1, lane += 1) {
    const before = lanes[lane];
    lanes[lane] = Math.imul(before ^ (pixels[at] & RGB), PRIME);
  }
  return lanes.reduce((folded, lane) => {
    const mixed = Math.imul(folded ^ lane, PRIME);
    return mixed ^ (mixed >>> 15);
  }, 0) >>> 0;
}
