// The shadow after a frame, against a slow reference that reads like the protocol's text.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyOps, isComplete, isInside, mergeRects, pixelOf } from '../../../web/client/frame.js';

const OPAQUE = 0xff000000;

/** A picture in which every pixel is another. */
const picture = (width, height) => ({
  width, height, pixels: Uint32Array.from({ length: width * height }, (_, at) => (OPAQUE | (at + 1)) >>> 0),
});

/** All copies from the picture before, then everything else in order. */
function reference(before, ops, decoded) {
  const out = before.pixels.slice();
  const each = (op, pixel) => {
    for (let y = 0; y < op.height; y += 1) {
      for (let x = 0; x < op.width; x += 1) out[(op.y + y) * before.width + op.x + x] = pixel(x, y);
    }
  };
  for (const op of ops) {
    if (op.kind === 'copy') each(op, (x, y) => before.pixels[(op.fromY + y) * before.width + op.fromX + x]);
  }
  for (const [at, op] of ops.entries()) {
    if (op.kind === 'fill') each(op, () => pixelOf(op.color));
    if (op.kind === 'png') each(op, (x, y) => (decoded[at][y * op.width + x] | OPAQUE) >>> 0);
  }
  return out;
}

function check(ops, decoded = []) {
  const shadow = picture(20, 16);
  const expected = reference(picture(20, 16), ops, decoded);
  assert.ok(isComplete(ops, decoded));
  applyOps(shadow, ops, decoded);
  assert.deepEqual(shadow.pixels, expected);
}

const copy = (fromX, fromY, x, y, width, height) => ({ kind: 'copy', fromX, fromY, x, y, width, height });
const fill = (x, y, width, height, color) => ({ kind: 'fill', x, y, width, height, color });

test('what reaches outside the picture, or copies from there, is not inside', () => {
  const size = { width: 20, height: 16 };
  assert.ok(isInside(size, [fill(0, 0, 20, 16, 0), copy(12, 9, 0, 0, 8, 7), copy(0, 0, 12, 9, 8, 7)]));
  for (const op of [fill(0, 0, 21, 16, 0), fill(19, 0, 2, 1, 0), fill(0, 15, 1, 2, 0), copy(13, 9, 0, 0, 8, 7), copy(0, 0, 12, 10, 8, 7)]) {
    assert.ok(!isInside(size, [fill(0, 0, 1, 1, 0), op]));
  }
});

test('a colour becomes an opaque pixel', () => {
  assert.equal(pixelOf(0x112233), 0xff332211);
  assert.equal(pixelOf(0xffffff), 0xffffffff);
});

for (const [dx, dy] of [[0, -1], [0, 1], [-1, 0], [1, 0], [3, 2], [-3, -2], [2, -3], [-2, 3]]) {
  test(`a copy onto itself, moved by ${dx}, ${dy}`, () => check([copy(5, 5, 5 + dx, 5 + dy, 8, 7)]));
}

test('copies that overwrite each other\'s sources read the picture before the frame', () => {
  check([copy(0, 0, 10, 0, 10, 8), copy(10, 0, 0, 0, 10, 8)]);
  check([copy(0, 0, 5, 0, 5, 5), copy(5, 0, 10, 0, 5, 5), copy(10, 0, 0, 8, 5, 5)]);
});

test('any copies do, in any order', () => {
  let state = 7;
  const random = (below) => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return (state >>> 8) % below; };
  for (let round = 0; round < 300; round += 1) {
    // Destinations of one frame do not overlap: one column of the picture each.
    const ops = [0, 5, 10, 15].map((x) => copy(random(16), random(9), x, random(9), 5, 1 + random(7)));
    check(ops);
  }
});

test('fills and tiles paint over copies, in order', () => {
  const tile = Uint32Array.from({ length: 12 }, (_, at) => OPAQUE | (at * 1000));
  const png = { kind: 'png', x: 2, y: 2, width: 4, height: 3, data: new Uint8Array(0) };
  check([fill(0, 0, 6, 6, 0xff0000), copy(8, 8, 1, 1, 4, 4), png, fill(3, 3, 1, 1, 0x00ff00)],
    [undefined, undefined, tile]);
});

/** A palette's payload, bit by bit. */
function pack(table, isGrey, rows) {
  const bits = Math.ceil(Math.log2(table.length));
  const stream = rows.map((row, at) => {
    const repeats = at > 0 && row.join() === rows[at - 1].join();
    const indexes = repeats || bits === 0 ? '' : row.map((index) => index.toString(2).padStart(bits, '0')).join('');
    return (at > 0 ? Number(repeats) : '') + indexes;
  }).join('');
  const packed = stream.match(/.{1,8}/g) ?? [];
  const colors = isGrey ? table.map(([grey]) => grey) : table.flat();
  return Uint8Array.of((isGrey ? 0x80 : 0) | (table.length - 1), ...colors,
    ...packed.map((byte) => parseInt(byte.padEnd(8, '0'), 2)));
}

for (const [count, isGrey] of [1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 64].flatMap((count) => [[count, true], [count, false]])) {
  test(`a palette of ${count} ${isGrey ? 'greys' : 'colours'} is painted, and rows that repeat the one above`, () => {
    const [width, height] = [13, 9];
    const table = Array.from({ length: count }, (_, at) => (isGrey ? [at * 4, at * 4, at * 4] : [at, 255 - at, (at * 3) & 255]));
    const rows = Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => ((y % 3 === 0 ? y : y - 1) * 5 + x * 7) % count));
    const op = { kind: 'palette', x: 3, y: 2, width, height, data: pack(table, isGrey, rows) };
    assert.ok(isComplete([op], []));
    const [shadow, before] = [picture(20, 16), picture(20, 16)];
    applyOps(shadow, [op], []);
    shadow.pixels.forEach((pixel, at) => {
      const index = rows[Math.floor(at / 20) - 2]?.[(at % 20) - 3];
      const [red, green, blue] = table[index] ?? [];
      assert.equal(pixel, index === undefined ? before.pixels[at] : pixelOf((red << 16) | (green << 8) | blue));
    });
  });
}

test('a palette of another length or form, or a tile that was not decoded, makes the frame incomplete', () => {
  const palette = (...data) => ({ kind: 'palette', x: 0, y: 0, width: 8, height: 2, data: Uint8Array.from(data) });
  const [white, black] = [[255, 255, 255], [0, 0, 0]];
  // The second row repeats the first, or does not.
  const [same, other] = [[1, ...white, ...black, 0x0f, 0x80], [1, ...white, ...black, 0x0f, 0x78, 0]];
  for (const data of [same, other]) assert.ok(isComplete([palette(...data)], []));
  for (let end = 0; end < other.length; end += 1) assert.ok(!isComplete([palette(...other.slice(0, end))], []), `${end} bytes`);
  for (const data of [[...same, 0], [...other, 0], same.slice(0, -1), [0x41, ...same.slice(1)]]) {
    assert.ok(!isComplete([palette(...data)], []));
  }
  assert.ok(!isComplete([{ kind: 'png', x: 0, y: 0, width: 2, height: 2, data: new Uint8Array(0) }], [undefined]));
});

test('merged rectangles cover all of what changed, and are few', () => {
  let state = 3;
  const random = (below) => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return (state >>> 8) % below; };
  for (let round = 0; round < 50; round += 1) {
    const rects = Array.from({ length: 1 + random(200) }, () => (
      { x: random(1000), y: random(700), width: 1 + random(90), height: 1 + random(60) }));
    const merged = mergeRects(rects);
    assert.ok(merged.length <= 16);
    for (const rect of rects) assert.ok(merged.some((one) => covers(one, rect)));
  }
});

test('rectangles far from each other stay apart', () => {
  const far = [{ x: 0, y: 0, width: 10, height: 10 }, { x: 1000, y: 700, width: 10, height: 10 }];
  assert.deepEqual(mergeRects(far), far);
});

function covers(outer, inner) {
  return outer.x <= inner.x && outer.y <= inner.y && outer.x + outer.width >= inner.x + inner.width
    && outer.y + outer.height >= inner.y + inner.height;
}
