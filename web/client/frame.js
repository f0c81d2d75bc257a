/**
 * Applies a frame's operations to the shadow: the picture as the viewer knows it, in memory.
 *
 * INVARIANT: every pixel of the shadow is `0xffBBGGRR` (RGBA bytes, opaque). Copies read the
 * picture as it was before the frame, whatever their order; everything else paints over the result.
 */

/** @import { Rect, Size, Op, CopyOp, PaletteOp } from '../protocol/types.js' */

/** @typedef {{ width: number, height: number, pixels: Uint32Array }} Shadow */
/**
 * What was decoded for an operation: the pixels of a PNG, opaque; the picture of video, null where it
 * was left out; nothing for the others.
 * @template Picture
 * @typedef {Uint32Array | Picture | null | undefined} Part
 */

const OPAQUE = 0xff000000;
/** Above this many rectangles a paint call costs more than the pixels that it saves. */
const MAX_DIRTY = 16;

/** @param {number} color `0x00RRGGBB` @returns {number} the shadow's pixel */
export function pixelOf(color) {
  return (OPAQUE | ((color & 0xff) << 16) | (color & 0xff00) | ((color >>> 16) & 0xff)) >>> 0;
}

/**
 * Whether every operation can be applied: a frame appears whole or not at all.
 * @template Picture
 * @param {readonly Op[]} ops
 * @param {readonly Part<Picture>[]} parts by operation
 */
export function isComplete(ops, parts) {
  return ops.every((op, at) => {
    const part = parts[at];
    switch (op.kind) {
      case 'png': return part instanceof Uint32Array && part.length >= area(op);
      case 'palette': return isPalette(op);
      case 'video': return part !== undefined;
      case 'fill': case 'copy': return true;
    }
  });
}

/**
 * Whether no operation reaches outside the picture; only keyframes say how large that is.
 * @param {Size} size @param {readonly Op[]} ops
 */
export function isInside(size, ops) {
  const holds = (/** @type {Rect} */ { x, y, width, height }) => x + width <= size.width && y + height <= size.height;
  return ops.every((op) => holds(op) && (op.kind !== 'copy' || holds(sourceOf(op))));
}

/**
 * Applies a complete frame, of whose video nothing is shown.
 * @param {Shadow} shadow
 * @param {readonly Op[]} ops
 * @param {readonly Part<unknown>[]} parts by operation
 */
export function applyOps(shadow, ops, parts) {
  applyCopies(shadow, ops);
  for (let at = 0; at < ops.length; at += 1) applyOp(shadow, ops[at], parts[at]);
}

/**
 * Applies what is neither a copy nor video.
 * @param {Shadow} shadow @param {Op} op @param {unknown} part
 */
export function applyOp(shadow, op, part) {
  if (op.kind === 'fill') fill(shadow, op, pixelOf(op.color));
  else if (op.kind === 'palette') unpack(shadow, op);
  else if (op.kind === 'png') blit(shadow, op, /** @type {Uint32Array} */ (part));
}

/**
 * The rectangles that a frame changes, few and nearly free of overlap.
 * @param {readonly Op[]} ops
 * @param {readonly unknown[]} parts by operation
 */
export function dirtyOf(ops, parts) {
  return mergeRects(ops.flatMap((op, at) => {
    if (op.kind !== 'video') return op;
    return parts[at] ? op.damage : [];
  }));
}

/**
 * The rectangles to paint, few and nearly free of overlap.
 * @param {readonly Rect[]} rects
 * @returns {Rect[]}
 */
export function mergeRects(rects) {
  /** @type {Rect[]} */
  const merged = [];
  for (const rect of rects) insert(merged, { ...bare(rect) });
  while (merged.length > MAX_DIRTY) {
    const last = /** @type {Rect} */ (merged.pop());
    const [at] = cheapest(merged, last);
    const near = merged[at];
    merged.splice(at, 1);
    insert(merged, hull(near, last));
  }
  return merged;
}

/** Adds a rectangle, joined with those that it can be joined with almost for free. @param {Rect[]} merged @param {Rect} rect */
function insert(merged, rect) {
  let joined = rect;
  for (;;) {
    const [at, waste] = cheapest(merged, joined);
    if (at < 0 || waste > area(joined) >> 2) break;
    joined = hull(joined, merged[at]);
    merged.splice(at, 1);
  }
  merged.push(joined);
}

/**
 * The rectangle whose hull with `rect` has the fewest pixels that neither has, and how many.
 * @param {readonly Rect[]} rects @param {Rect} rect @returns {[number, number]}
 */
function cheapest(rects, rect) {
  let [best, least] = [-1, Infinity];
  for (const [at, other] of rects.entries()) {
    const waste = area(hull(rect, other)) - area(rect) - area(other);
    if (waste < least) [best, least] = [at, waste];
  }
  return [best, least];
}

/** @param {Rect} rect */
const bare = ({ x, y, width, height }) => ({ x, y, width, height });

/** @param {Rect} rect */
const area = (rect) => rect.width * rect.height;

/** @param {Rect} a @param {Rect} b @returns {Rect} */
function hull(a, b) {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  const right = Math.max(a.x + a.width, b.x + b.width);
  const bottom = Math.max(a.y + a.height, b.y + b.height);
  return { x, y, width: right - x, height: bottom - y };
}

/** @param {Rect} a @param {Rect} b */
function overlaps(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width
    && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** @param {CopyOp} op @returns {Rect} */
const sourceOf = (op) => ({ x: op.fromX, y: op.fromY, width: op.width, height: op.height });

/**
 * Applies the copies of a frame, which come before everything else. One whose source an earlier copy
 * overwrites is lifted out first; a single scroll, the common case, moves in place.
 * @param {Shadow} shadow
 * @param {readonly Op[]} ops
 */
export function applyCopies(shadow, ops) {
  const copies = ops.filter((op) => op.kind === 'copy');
  const lifted = copies.map((copy, at) => {
    const source = sourceOf(copy);
    const spoilt = copies.some((other, before) => before < at && overlaps(other, source));
    return spoilt ? lift(shadow, source) : null;
  });
  for (const [at, copy] of copies.entries()) {
    const pixels = lifted[at];
    if (pixels) blit(shadow, copy, pixels);
    else move(shadow, copy);
  }
}

/** @param {Shadow} shadow @param {Rect} rect */
function lift({ pixels, width }, rect) {
  const out = new Uint32Array(area(rect));
  for (let row = 0; row < rect.height; row += 1) {
    const start = (rect.y + row) * width + rect.x;
    out.set(pixels.subarray(start, start + rect.width), row * rect.width);
  }
  return out;
}

/** Rows go from the side that is not overwritten first. @param {Shadow} shadow @param {CopyOp} op */
function move({ pixels, width }, op) {
  const upwards = op.fromY < op.y;
  for (let step = 0; step < op.height; step += 1) {
    const row = upwards ? op.height - 1 - step : step;
    const from = (op.fromY + row) * width + op.fromX;
    pixels.copyWithin((op.y + row) * width + op.x, from, from + op.width);
  }
}

/** @param {Shadow} shadow @param {Rect} rect @param {number} pixel */
function fill({ pixels, width }, rect, pixel) {
  for (let row = rect.y; row < rect.y + rect.height; row += 1) {
    const start = row * width + rect.x;
    pixels.fill(pixel, start, start + rect.width);
  }
}

/** @param {Shadow} shadow @param {Rect} rect @param {Uint32Array} tile opaque */
function blit({ pixels, width }, rect, tile) {
  for (let row = 0; row < rect.height; row += 1) {
    const from = row * rect.width;
    pixels.set(tile.subarray(from, from + rect.width), (rect.y + row) * width + rect.x);
  }
}

/**
 * How a palette's payload is laid out; `OpKind::Palette` in `server/wire/src/picture.rs` defines it.
 * @param {number} head its first byte
 */
function layoutOf(head) {
  const colors = (head & 0x3f) + 1;
  const channels = (head & 0x80) !== 0 ? 1 : 3;
  return { colors, channels, bits: 32 - Math.clz32(colors - 1), first: 1 + colors * channels };
}

/** Whether the payload has the length that its rows come to. @param {PaletteOp} op */
function isPalette({ data, width, height }) {
  if (data.length === 0 || (data[0] & 0x40) !== 0) return false;
  const { bits, first } = layoutOf(data[0]);
  let bit = first * 8 + width * bits;
  for (let row = 1; row < height; row += 1, bit += 1) {
    if (bit >= data.length * 8) return false;
    if (!bitAt(data, bit)) bit += width * bits;
  }
  return Math.ceil(bit / 8) === data.length;
}

/** @param {Uint8Array} data @param {number} bit */
const bitAt = (data, bit) => (data[bit >> 3] >> (7 - (bit & 7))) & 1;

const palette = new Uint32Array(64);

/** @param {Uint8Array} data */
function readPalette(data) {
  const { colors, channels } = layoutOf(data[0]);
  palette.fill(OPAQUE);
  for (let color = 0, at = 1; color < colors; color += 1, at += channels) {
    const [red, green, blue] = channels === 1 ? [data[at], data[at], data[at]] : data.subarray(at, at + 3);
    palette[color] = OPAQUE | (blue << 16) | (green << 8) | red;
  }
}

/** A row begins with a bit, but for the first: whether it is the one above. @param {Shadow} shadow @param {PaletteOp} op */
function unpack({ pixels, width }, op) {
  const { data } = op;
  const { bits, first } = layoutOf(data[0]);
  const mask = (1 << bits) - 1;
  readPalette(data);
  let bit = first * 8;
  for (let row = 0; row < op.height; row += 1) {
    let to = (op.y + row) * width + op.x;
    const end = to + op.width;
    if (row > 0) bit += 1;
    if (row > 0 && bitAt(data, bit - 1)) {
      pixels.copyWithin(to, to - width, end - width);
      continue;
    }
    for (; to < end; to += 1, bit += bits) {
      // An index may reach into the next byte, which behind the last one is none.
      const pair = (data[bit >> 3] << 8) | data[(bit >> 3) + 1];
      pixels[to] = palette[(pair >> (16 - bits - (bit & 7))) & mask];
    }
  }
}
