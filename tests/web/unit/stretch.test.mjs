// Video from its picture to its place: one to one, odd sides, and stretched.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cut, isPixelForPixel, sourceOf, stretch } from '../../../web/client/stretch.js';

const OPAQUE = 0xff000000;
const place = (x, y, width, height, codedWidth, codedHeight) => ({ x, y, width, height, codedWidth, codedHeight });
const rect = (x, y, width, height) => ({ x, y, width, height });

/** A picture with a colour for each pixel, and the part of it that `source` is. */
function part(source, color) {
  return Uint32Array.from({ length: source.width * source.height }, (_, at) => (
    (OPAQUE | color(source.x + (at % source.width), source.y + Math.floor(at / source.width))) >>> 0));
}

/** The screen after `damage` was painted, by `paint`. */
function painted(paint, at, damage, color, [width, height] = [40, 30]) {
  const shadow = { width, height, pixels: new Uint32Array(width * height) };
  const source = sourceOf(at, damage);
  paint(shadow, at, damage, source, part(source, color));
  return { at: (x, y) => shadow.pixels[y * width + x], pixels: shadow.pixels };
}

const numbered = (x, y) => (y << 8) | x;

test('a picture is one to one where its sides are those of its place, made even', () => {
  assert.ok(isPixelForPixel(place(3, 3, 7, 5, 8, 6)));
  assert.ok(isPixelForPixel(place(0, 0, 8, 6, 8, 6)));
  assert.ok(!isPixelForPixel(place(0, 0, 8, 6, 6, 6)));
  assert.ok(!isPixelForPixel(place(0, 0, 8, 6, 8, 4)));
  assert.ok(!isPixelForPixel(place(0, 0, 8, 6, 10, 6)));
});

test('what is read of a picture starts at even pixels and stays within it', () => {
  for (const [damage, expected] of [
    [rect(3, 3, 7, 5), rect(0, 0, 7, 5)],
    [rect(4, 4, 2, 2), rect(0, 0, 3, 3)],
    [rect(5, 5, 2, 2), rect(2, 2, 2, 2)],
    [rect(9, 7, 1, 1), rect(6, 4, 1, 1)],
  ]) assert.deepEqual(sourceOf(place(3, 3, 7, 5, 8, 6), damage), expected);
});

test('each pixel of the damage, and no other, is painted from its own in the picture', () => {
  const at = place(5, 3, 13, 9, 14, 10);
  for (const damage of [rect(5, 3, 13, 9), rect(6, 4, 5, 3), rect(17, 11, 1, 1)]) {
    const screen = painted(cut, at, damage, numbered);
    screen.pixels.forEach((pixel, index) => {
      const [x, y] = [index % 40, Math.floor(index / 40)];
      const isIn = x >= damage.x && x < damage.x + damage.width && y >= damage.y && y < damage.y + damage.height;
      assert.equal(pixel, isIn ? (OPAQUE | numbered(x - at.x, y - at.y)) >>> 0 : 0, `${x}, ${y}`);
    });
  }
});

test('one colour stays that colour when it is stretched, and only the damage is painted', () => {
  const damage = rect(6, 4, 11, 7);
  const screen = painted(stretch, place(5, 3, 13, 9, 6, 4), damage, () => 0x8040fe);
  const count = screen.pixels.filter((pixel) => pixel === (OPAQUE | 0x8040fe) >>> 0).length;
  assert.equal(count, 11 * 7);
  assert.equal(screen.pixels.filter((pixel) => pixel !== 0).length, 11 * 7);
});

test('a stretched ramp is even, and its ends are those of the picture', () => {
  const screen = painted(stretch, place(0, 0, 40, 30, 20, 10), rect(0, 0, 40, 30), (x, y) => ((y * 20) << 16) | (x * 10));
  for (let x = 1; x < 40; x += 1) {
    const step = (screen.at(x, 9) & 0xff) - (screen.at(x - 1, 9) & 0xff);
    assert.ok(x === 1 || x === 39 ? step <= 3 : Math.abs(step - 5) <= 1, `${x}: ${step}`);
  }
  assert.equal(screen.at(0, 0) & 0xff, 0);
  assert.equal(screen.at(39, 0) & 0xff, 190);
  assert.equal((screen.at(0, 29) >>> 16) & 0xff, 180);
});

test('damage in parts is stretched as the whole is', () => {
  const at = place(3, 1, 33, 27, 18, 10);
  const color = (x, y) => Math.imul(x * 31 + y * 57, 2654435761) & 0xffffff;
  const whole = painted(stretch, at, rect(3, 1, 33, 27), color);
  for (const damage of [rect(3, 1, 5, 5), rect(17, 9, 8, 3), rect(35, 27, 1, 1), rect(4, 2, 31, 25)]) {
    const screen = painted(stretch, at, damage, color);
    for (let y = damage.y; y < damage.y + damage.height; y += 1) {
      for (let x = damage.x; x < damage.x + damage.width; x += 1) assert.equal(screen.at(x, y), whole.at(x, y), `${x}, ${y}`);
    }
  }
});
