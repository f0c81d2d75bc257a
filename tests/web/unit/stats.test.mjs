// Figures, places and positions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyLatency, Rate, Recent, percentile } from '../../../web/client/stats.js';
import { place, wishedSize } from '../../../web/app/fit.js';
import { toDesktop, wheelUnits } from '../../../web/input/pointer.js';

test('percentiles are values that occurred', () => {
  assert.equal(percentile([], 0.5), null);
  assert.equal(percentile([3, 1, 2], 0.5), 2);
  assert.equal(percentile([1, 2, 3, 4], 1), 4);
});

test('a rate covers the last second', () => {
  const rate = new Rate();
  for (let at = 0; at < 2000; at += 20) rate.add(at, 1);
  assert.ok(Math.abs(rate.perSecond(1999) - 50) <= 5);
  assert.equal(rate.perSecond(5000), 0);
});

test('only the last values are kept', () => {
  const recent = new Recent(2);
  [1, 2, 3].forEach((value) => recent.add(value));
  assert.deepEqual([recent.values, recent.last], [[2, 3], 3]);
});

test('a frame answers the newest key that it can, once', () => {
  const keys = new KeyLatency();
  keys.pressed(1, 0);
  keys.pressed(2, 100);
  keys.pressed(3, 110);
  keys.painted(2, 105);
  keys.painted(2, 500);
  assert.deepEqual(keys.samples.values, [5]);
  keys.painted(9, 120);
  assert.deepEqual(keys.samples.values, [5, 10]);
});

test('a key that nothing answered for long is no sample', () => {
  const keys = new KeyLatency();
  keys.pressed(1, 0);
  keys.painted(1, 6000);
  assert.equal(keys.count, 0);
});

const stage = { width: 1366, height: 768 };
const scaleOf = (mode, width, height) => place({ mode, desktop: { width, height }, stage, ratio: 1 }).scale;

test('fit makes smaller as needed, larger only by whole numbers, and leaves alone what fits', () => {
  assert.equal(scaleOf('fit', 1366, 768), 1);
  assert.equal(scaleOf('fit', 1300, 700), 1);
  assert.equal(scaleOf('fit', 600, 300), 2);
  assert.equal(scaleOf('fit', 2732, 1536), 0.5);
  assert.equal(scaleOf('actual', 2732, 1536), 1);
  assert.equal(scaleOf('actual', 100, 100), 1);
});

test('at a fractional ratio the desktop still has its own pixels, at a whole one', () => {
  const at = place({ mode: 'actual', desktop: { width: 1001, height: 601 }, stage: { width: 1708, height: 961 }, ratio: 1.25 });
  assert.deepEqual([at.width * 1.25, at.height * 1.25], [1001, 601]);
  assert.ok(Number.isInteger(at.left * 1.25) && Number.isInteger(at.top * 1.25));
});

test('a wished size keeps to the limits', () => {
  const limits = { minWidth: 640, minHeight: 480, maxWidth: 1024, maxHeight: 768 };
  assert.deepEqual(wishedSize({ width: 100, height: 5000 }, limits), { width: 640, height: 768 });
});

test('positions are whole pixels within the desktop', () => {
  const box = { left: 10, top: 20, width: 500, height: 250 };
  const desktop = { width: 1000, height: 500 };
  assert.deepEqual(toDesktop({ clientX: 10, clientY: 20 }, box, desktop), { x: 0, y: 0 });
  assert.deepEqual(toDesktop({ clientX: 260.4, clientY: 145 }, box, desktop), { x: 500, y: 250 });
  assert.deepEqual(toDesktop({ clientX: 9999, clientY: -5 }, box, desktop), { x: 999, y: 0 });
});

test('a notch is 120 units, however the browser counts', () => {
  assert.deepEqual([wheelUnits(100, 0), wheelUnits(3, 1), wheelUnits(-50, 0)], [120, 120, -60]);
});
