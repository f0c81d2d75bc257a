// The band hash, against the definition in the protocol's text with exact arithmetic.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashPixels } from '../../../web/client/digest.js';
import { ROUND, Verifier } from '../../../web/media/verify.js';

const PRIME = 0x9e3779b1n;
const WORD = 0xffffffffn;

function reference(pixels) {
  const lanes = Array.from({ length: 8 }, (_, lane) => BigInt(lane));
  pixels.forEach((pixel, at) => {
    lanes[at % 8] = ((lanes[at % 8] ^ BigInt(pixel & 0xffffff)) * PRIME) & WORD;
  });
  let folded = 0n;
  for (const lane of lanes) {
    folded = ((folded ^ lane) * PRIME) & WORD;
    folded ^= folded >> 15n;
  }
  return Number(folded);
}

for (const length of [0, 1, 7, 8, 9, 64, 1000]) {
  test(`a band of ${length} pixels hashes as defined`, () => {
    const pixels = Uint32Array.from({ length }, (_, at) => Math.imul(at + 1, 0x01234567) >>> 0);
    assert.equal(hashPixels(pixels), reference(pixels));
  });
}

test('alpha does not count, and each single pixel does', () => {
  const pixels = new Uint32Array(100).fill(0xff123456);
  const hash = hashPixels(pixels);
  assert.equal(hashPixels(pixels.map((pixel) => pixel & 0xffffff)), hash);
  for (let at = 0; at < pixels.length; at += 1) {
    const wrong = pixels.slice();
    wrong[at] ^= 1;
    assert.notEqual(hashPixels(wrong), hash);
  }
});

const AT = { epoch: 1, id: 1, width: 10, height: 128 };
const ALL = [{ x: 0, y: 0, width: 10, height: 128 }];
const digest = (bands, at = AT) => ({ type: 'digest', ...at, bands });

/** A canvas whose bands hash to these numbers, and what was hashed of it. */
function canvasOf(bands) {
  const read = [];
  const verifier = new Verifier((band) => { read.push(band); return bands[band]; });
  return { verifier, read, bands };
}

test('a picture is exact when every band was proven, until something is painted', () => {
  const { verifier } = canvasOf([5, 6]);
  verifier.painted(AT, ALL);
  assert.ok(!verifier.exact);
  assert.ok(verifier.compare(digest([5, 6]), 0));
  assert.ok(verifier.exact);
  verifier.painted({ ...AT, id: 2 }, []);
  assert.ok(!verifier.exact);
});

test('a digest of another frame, epoch or size proves nothing', () => {
  const { verifier } = canvasOf([5, 6]);
  verifier.painted(AT, ALL);
  for (const other of [{ id: 2 }, { epoch: 2 }, { width: 11 }]) {
    assert.ok(!verifier.compare(digest([5, 6], { ...AT, ...other }), 0));
    assert.ok(!verifier.exact);
  }
});

test('only bands that were painted since they were proven are hashed at once', () => {
  const { verifier, read, bands } = canvasOf([5, 6]);
  verifier.painted(AT, ALL);
  verifier.compare(digest([5, 6]), 0);
  read.length = 0;
  bands[1] = 7;
  verifier.painted({ ...AT, id: 2 }, [{ x: 0, y: 64, width: 1, height: 1 }]);
  verifier.compare(digest([5, 7], { ...AT, id: 2 }), 0);
  assert.deepEqual(read, [1]);
  assert.ok(verifier.exact);
});

test('a wrong pixel is found by looking again, counted once and healed after a second', () => {
  const { verifier, bands } = canvasOf([5, 6]);
  verifier.painted(AT, ALL);
  verifier.compare(digest([5, 6]), 0);
  bands[0] = 99;
  verifier.recheckAll(100);
  verifier.recheckAll(400);
  assert.ok(!verifier.exact);
  assert.equal(verifier.mismatches, 1);
  assert.ok(!verifier.needsHealing(1099));
  assert.ok(verifier.needsHealing(1100));
  bands[0] = 5;
  verifier.painted(AT, ALL);
  verifier.compare(digest([5, 6]), 1200);
  assert.ok(verifier.exact && !verifier.needsHealing(9999));
});

const BANDS = 17;
const FULL_HD = { ...AT, height: BANDS * 64 };
const RIGHT = Array(BANDS).fill(7);

/** A picture of 17 bands that was proven, and then got a wrong pixel in the eleventh. */
function spoilt() {
  const canvas = canvasOf([...RIGHT]);
  canvas.verifier.painted(FULL_HD, [{ x: 0, y: 0, width: 10, height: FULL_HD.height }]);
  canvas.verifier.compare(digest(RIGHT, FULL_HD), 0);
  canvas.bands[10] = 8;
  canvas.read.length = 0;
  return canvas;
}

test('without a digest there is nothing to look at again', () => {
  const { verifier, read } = canvasOf([5, 6]);
  verifier.painted(AT, ALL);
  assert.ok(!verifier.recheckNext(0) && !verifier.recheckAll(0));
  assert.deepEqual(read, []);
});

test('at rest a wrong pixel is found within one round, whenever it comes', () => {
  for (let start = 0; start < 2 * ROUND; start += 1) {
    const { verifier, bands } = spoilt();
    bands[10] = 7;
    for (let step = 0; step < start; step += 1) assert.ok(verifier.recheckNext(step));
    bands[10] = 8;
    for (let step = 0; step < ROUND; step += 1) assert.ok(verifier.recheckNext(step), 'it goes on');
    assert.ok(!verifier.exact, `planted after ${start} steps`);
  }
});

test('a round reads each band once, also of a screen with fewer of them than it has steps', () => {
  const { verifier, read } = spoilt();
  for (let step = 0; step < ROUND; step += 1) verifier.recheckNext(step);
  assert.deepEqual(read, [...RIGHT.keys()]);
  const few = canvasOf([5, 6]);
  few.verifier.painted(AT, ALL);
  few.verifier.compare(digest([5, 6]), 0);
  few.read.length = 0;
  for (let step = 0; step < ROUND; step += 1) few.verifier.recheckNext(step);
  assert.deepEqual(few.read, [0, 1]);
});

test('a wrong pixel is found within one round though a caret blinks in another band', () => {
  const { verifier } = spoilt();
  for (let blink = 0; blink < ROUND; blink += 1) {
    const next = { ...FULL_HD, id: 2 + blink };
    verifier.painted(next, [{ x: 0, y: 0, width: 2, height: 16 }]);
    assert.ok(verifier.compare(digest(RIGHT, next), blink));
    verifier.recheckNext(blink);
  }
  assert.ok(!verifier.exact);
  verifier.painted({ ...FULL_HD, id: 99 }, [{ x: 0, y: 0, width: 2, height: 16 }]);
  verifier.compare(digest(RIGHT, { ...FULL_HD, id: 99 }), 99);
  assert.ok(!verifier.exact, 'and not forgotten by the next blink');
  assert.equal(verifier.mismatches, 1);
});
