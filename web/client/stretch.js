/**
 * From a decoded picture of video to its place on the screen. Pure.
 *
 * A picture covers its place. Mostly it was coded at the size of that, with each side made even; where
 * bandwidth is short it was coded smaller, and is stretched here: a canvas takes more than three times
 * as long for drawing it larger and reading it back (Chromium 156 without a GPU, 1080p from 540p: 10 ms
 * of processor here, 36 there).
 */

/** @import { Rect } from '../protocol/types.js' */
/** @import { Shadow } from './frame.js' */

/** @typedef {Rect & { codedWidth: number, codedHeight: number }} Place */

/** Whether each pixel of the picture is one of the screen. @param {Place} place */
export function isPixelForPixel({ width, height, codedWidth, codedHeight }) {
  return codedWidth === width + (width & 1) && codedHeight === height + (height & 1);
}

/**
 * The part of the picture that `damage` is painted from. It starts at even pixels: colour has half
 * the resolution, and browsers take that of the wrong pixel for parts that start in between.
 * @param {Place} place @param {Rect} damage @returns {Rect}
 */
export function sourceOf(place, damage) {
  const isWhole = isPixelForPixel(place);
  const [x, width] = span(damage.x - place.x, damage.width, isWhole ? place.codedWidth : place.width, place.codedWidth);
  const [y, height] = span(damage.y - place.y, damage.height, isWhole ? place.codedHeight : place.height, place.codedHeight);
  return { x, y, width, height };
}

/** @param {number} start @param {number} length @param {number} shown @param {number} coded */
function span(start, length, shown, coded) {
  const first = Math.floor(position(start, shown, coded)) & ~1;
  const last = Math.min(Math.ceil(position(start + length - 1, shown, coded)), coded - 1);
  return [first, last + 1 - first];
}

/** Where between the middles of coded pixels the middle of a shown one lies. @param {number} at @param {number} shown @param {number} coded */
function position(at, shown, coded) {
  return Math.min(Math.max(((at + 0.5) * coded) / shown - 0.5, 0), coded - 1);
}

/**
 * Paints `damage` from pixels that are one to one.
 * @param {Shadow} shadow @param {Place} place @param {Rect} damage
 * @param {Rect} source what `sourceOf` said @param {Uint32Array} pixels of it
 */
export function cut({ pixels: to, width }, place, damage, source, pixels) {
  const left = damage.x - place.x - source.x;
  const top = damage.y - place.y - source.y;
  for (let row = 0; row < damage.height; row += 1) {
    const from = (top + row) * source.width + left;
    to.set(pixels.subarray(from, from + damage.width), (damage.y + row) * width + damage.x);
  }
}

/**
 * Paints `damage` from a picture that is smaller, between whose pixels colours run over evenly.
 * @param {Shadow} shadow @param {Place} place @param {Rect} damage
 * @param {Rect} source what `sourceOf` said @param {Uint32Array} pixels of it
 */
export function stretch(shadow, place, damage, source, pixels) {
  const columns = Array.from({ length: damage.width }, (_, at) => (
    position(damage.x + at - place.x, place.width, place.codedWidth) - source.x));
  const lefts = Int32Array.from(columns, Math.floor);
  const shares = Int32Array.from(columns, (at) => Math.round((at % 1) * 256));
  const rows = [new Row(damage.width), new Row(damage.width)];
  const rowAt = (/** @type {number} */ y) => {
    const row = rows[y & 1];
    if (row.y !== y) row.fill(y, pixels.subarray(y * source.width, (y + 1) * source.width), lefts, shares);
    return row.pixels;
  };
  for (let y = 0; y < damage.height; y += 1) {
    const at = position(damage.y + y - place.y, place.height, place.codedHeight) - source.y;
    const upper = Math.floor(at);
    const lower = Math.min(upper + 1, source.height - 1);
    const start = (damage.y + y) * shadow.width + damage.x;
    mixRows(shadow.pixels.subarray(start, start + damage.width), rowAt(upper), rowAt(lower), Math.round((at % 1) * 256));
  }
}

/** A row of the picture, stretched to the width of the damage. */
class Row {
  y = -1;
  /** @readonly */
  pixels;

  /** @param {number} width */
  constructor(width) {
    this.pixels = new Uint32Array(width);
  }

  /** @param {number} y @param {Uint32Array} from @param {Int32Array} lefts @param {Int32Array} shares */
  fill(y, from, lefts, shares) {
    const { pixels } = this;
    const last = from.length - 1;
    for (let x = 0; x < pixels.length; x += 1) {
      const left = lefts[x];
      pixels[x] = mix(from[left], from[left < last ? left + 1 : last], shares[x]);
    }
    this.y = y;
  }
}

/** @param {Uint32Array} to @param {Uint32Array} upper @param {Uint32Array} lower @param {number} share */
function mixRows(to, upper, lower, share) {
  for (let x = 0; x < to.length; x += 1) to[x] = mix(upper[x], lower[x], share);
}

/**
 * An opaque pixel between two, red and blue in one multiplication.
 * @param {number} a @param {number} b @param {number} share of `b`, of 256
 */
function mix(a, b, share) {
  const rest = 256 - share;
  const redBlue = ((Math.imul(a & 0xff00ff, rest) + Math.imul(b & 0xff00ff, share)) >>> 8) & 0xff00ff;
  const green = ((Math.imul((a >>> 8) & 0xff, rest) + Math.imul((b >>> 8) & 0xff, share)) & 0xff00);
  return 0xff000000 | redBlue | green;
}
