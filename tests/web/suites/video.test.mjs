// @ts-check
/** Video in a real browser: it is shown in the right place and colours, and nothing that goes wrong sticks. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { open, shoot, stats, waitState, worker } from '../lib/browser.mjs';
import { Desk, assertColors, video } from '../lib/desk.mjs';
import { encode } from '../lib/h264.mjs';
import { encodeServer } from '../lib/mirror.mjs';
import { setUp } from '../lib/set.mjs';
import { eventually, patience, sleep } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('../../../web/protocol/types.js').Rect} Rect */

const SIZE = { width: 320, height: 200 };
const GROUND = 0x203040;
const H264 = 4;
/** Coding and the browser's own arithmetic. */
const TOLERANCE = 4;
// No strong blue: Chromium on x86 makes up to a twentieth less of it from a limited range.
const [RED, GREEN, BLUE, GREY] = [0xc81e3c, 0x14b45a, 0x46648c, 0x808080];
const GARBAGE = new Uint8Array(200).fill(7);

/** @type {Awaited<ReturnType<typeof setUp>>} */
let set;

before(async () => {
  set = await setUp({ width: 320, height: 200 }, '--host-resolver-rules=MAP desk.example 127.0.0.1');
});

after(() => set.end());

/**
 * A page with a desktop of one colour.
 * @param {(page: Page, desk: Desk) => Promise<void>} body
 * @param {{ search?: string, host?: string, options?: import('playwright-core').BrowserContextOptions }} how
 */
async function withDesk(body, { search = '', host = '127.0.0.1', options = {} } = {}) {
  const coming = Desk.next(set.impostor, SIZE, GROUND);
  const opened = await open(set.browser, set.page(search, host), options);
  const { page, complaints, close } = opened;
  try {
    const desk = await coming;
    await waitState(page, 'live');
    const own = await worker(page);
    await own.evaluate(watchPictures);
    await body(page, desk);
    await eventually('every picture to be closed', () => own.evaluate(() => (/** @type {any} */ (self)).unclosed() === 0), patience(2000));
    assert.deepEqual(complaints, []);
  } finally {
    await close();
  }
}

/** Lets a worker count the pictures that its decoders made and nobody closed. */
function watchPictures() {
  const global = /** @type {any} */ (self);
  if (!global.VideoDecoder) {
    global.unclosed = () => 0;
    return;
  }
  /** @type {VideoFrame[]} */
  const pictures = [];
  global.unclosed = () => pictures.filter(({ format }) => format !== null).length;
  global.VideoDecoder = class extends VideoDecoder {
    /** @param {VideoDecoderInit} init */
    constructor({ output, error }) {
      super({
        error,
        output(picture) {
          pictures.push(picture);
          if (global.isSwallowing) picture.close();
          else output(picture);
        },
      });
    }
  };
}

/** @param {Rect} rect */
const whole = ({ width, height }) => ({ x: 0, y: 0, width: width + (width & 1), height: height + (height & 1) });

/** Units of a place that is each of these colours in turn. @param {Page} page @param {Rect} place @param {number[]} colors @param {number[]} keys */
function flat(page, place, colors, keys = [0]) {
  const { width, height } = whole(place);
  return encode(page, { width, height, keys, pictures: colors.map((color) => [{ ...whole(place), color }]) });
}

/** Waits for figures, which the page is told four times a second. @param {Page} page @param {Record<string, unknown>} expected */
async function assertStats(page, expected) {
  const read = async () => {
    const all = await stats(page);
    return Object.fromEntries(Object.keys(expected).map((name) => [name, all[name]]));
  };
  const fits = async () => isDeepStrictEqual(await read(), expected);
  await eventually('the figures', fits, patience(2000)).catch(() => {});
  assert.deepEqual(await read(), expected);
}

const PLACE = { x: 40, y: 30, width: 96, height: 64 };
/** @param {number} color @returns {[number, number, number][]} */
const inside = (color) => [[40, 30, color], [80, 60, color], [135, 93, color]];
/** @type {[number, number, number][]} */
const OUTSIDE = [[39, 60, GROUND], [136, 60, GROUND], [80, 29, GROUND], [80, 94, GROUND]];

test('colours are right, and nothing but the damage is painted', () => withDesk(async (page, desk) => {
  assert.equal(desk.capabilities & H264, H264);
  const units = await flat(page, PLACE, [RED, GREEN, BLUE, GREY]);
  desk.frame([video(PLACE, units[0], { keyframe: true })]);
  await desk.settled();
  await assertColors(page, [...inside(RED), ...OUTSIDE], TOLERANCE);
  desk.frame([video(PLACE, units[1], { damage: [{ x: 50, y: 40, width: 20, height: 10 }, { x: 101, y: 61, width: 7, height: 5 }] })]);
  await desk.settled();
  await assertColors(page, [[50, 40, GREEN], [69, 49, GREEN], [101, 61, GREEN], [107, 65, GREEN]], TOLERANCE);
  await assertColors(page, [
    [49, 40, RED], [70, 49, RED], [50, 39, RED], [69, 50, RED], [100, 61, RED], [108, 65, RED], [101, 60, RED], [107, 66, RED],
  ], TOLERANCE);
  await assertColors(page, OUTSIDE);
  // What copies see is no more than what is shown.
  desk.frame([{ kind: 'copy', x: 200, y: 100, width: 40, height: 20, fromX: 45, fromY: 35 }]);
  await desk.settled();
  await assertColors(page, [[204, 105, RED], [205, 104, RED], [205, 105, GREEN], [224, 114, GREEN], [225, 114, RED], [224, 115, RED]], TOLERANCE);
  for (const [at, color] of /** @type {const} */ ([[2, BLUE], [3, GREY]])) {
    desk.frame([video(PLACE, units[at])]);
    await desk.settled();
    await assertColors(page, [...inside(color), ...OUTSIDE], TOLERANCE);
  }
  await assertStats(page, { mode: 'video', videoUnits: 4, videoSkipped: 0 });
  await eventually('the picture to be tiles again', async () => (await stats(page)).mode === 'tiles', patience(5000));
}));

test('copies and tiles of the same and of later frames see the video', () => withDesk(async (page, desk) => {
  const units = await flat(page, PLACE, [RED, GREEN]);
  desk.frame([
    video(PLACE, units[0], { keyframe: true }),
    { kind: 'fill', x: 60, y: 50, width: 10, height: 10, color: 0xffffff },
  ]);
  desk.frame([
    { kind: 'copy', x: 200, y: 100, width: 40, height: 40, fromX: 50, fromY: 40 },
    { kind: 'fill', x: 42, y: 32, width: 10, height: 10, color: 0 },
    video(PLACE, units[1]),
  ]);
  await desk.settled();
  await assertColors(page, [[200, 100, RED], [239, 139, RED]], TOLERANCE);
  await assertColors(page, [[210, 110, 0xffffff], [219, 119, 0xffffff], [199, 100, GROUND], [240, 139, GROUND]]);
  await assertColors(page, [...inside(GREEN), [62, 52, GREEN], [45, 35, GREEN]], TOLERANCE);
}));

for (const [what, spoil] of /** @type {const} */ ([
  ['', () => {}],
  [', also where the browser cannot copy them as RGBA', () => {
    VideoFrame.prototype.copyTo = () => Promise.reject(new DOMException('no', 'NotSupportedError'));
  }],
])) {
  test(`a place with odd sides is not stretched${what}`, () => withDesk(async (page, desk) => {
    await (await worker(page)).evaluate(spoil);
    const place = { x: 33, y: 21, width: 201, height: 75 };
    const { width, height } = whole(place);
    const stripes = Array.from({ length: width / 2 }, (_, at) => ({ x: at * 2, y: 0, width: 2, height, color: at % 2 ? 0xffffff : 0 }));
    const [unit] = await encode(page, { width, height, pictures: [stripes] });
    desk.frame([video(place, unit, { keyframe: true })]);
    await desk.settled();
    const columns = [0, 1, 2, 3, 100, 101, 102, 103, 197, 198, 199, 200];
    await assertColors(page, columns.map((x) => [place.x + x, place.y + 74, x % 4 < 2 ? 0 : 0xffffff]), 40);
    await assertColors(page, [[32, 50, GROUND], [234, 50, GROUND], [100, 20, GROUND], [100, 96, GROUND]]);
  }));

  test(`a picture that was coded smaller is stretched to its place${what}`, () => withDesk(async (page, desk) => {
    await (await worker(page)).evaluate(spoil);
    const place = { x: 21, y: 11, width: 201, height: 151 };
    const [width, height] = [100, 76];
    const [unit] = await encode(page, { width, height, pictures: [[
      { x: 0, y: 0, width, height, color: RED }, { x: 50, y: 0, width: 50, height: 38, color: GREEN },
      { x: 0, y: 38, width: 50, height: 38, color: BLUE },
    ]] });
    desk.frame([video(place, unit, { keyframe: true, codedWidth: width, codedHeight: height })]);
    await desk.settled();
    const [left, right, top, bottom] = [21, 221, 11, 161];
    await assertColors(page, [
      [left + 9, top + 9, RED], [right - 9, top + 9, GREEN], [left + 9, bottom - 9, BLUE], [right - 9, bottom - 9, RED],
      [109, 74, RED], [135, 74, GREEN], [109, 99, BLUE], [135, 99, RED],
    ], 2 * TOLERANCE);
    await assertColors(page, [[left, top, RED], [right, top, GREEN], [left, bottom, BLUE], [right, bottom, RED]], 4 * TOLERANCE);
    await assertColors(page, [[20, 50, GROUND], [222, 50, GROUND], [100, 10, GROUND], [100, 162, GROUND]]);
  }));
}

test('after a refresh units are left out until the next keyframe of their stream', () => withDesk(async (page, desk) => {
  const units = await flat(page, PLACE, [RED, GREEN, BLUE, GREY, GREEN], [0, 3]);
  desk.frame([video(PLACE, units[0], { keyframe: true })]);
  desk.frame([video(PLACE, units[1])]);
  desk.frame([{ kind: 'fill', ...PLACE, color: 0x111111 }], { refresh: true });
  desk.frame([video(PLACE, units[2]), { kind: 'fill', x: 0, y: 0, width: 5, height: 5, color: 0xabcdef }]);
  await desk.settled();
  await assertColors(page, [...inside(0x111111), [2, 2, 0xabcdef]]);
  await assertStats(page, { videoSkipped: 1 });
  desk.frame([video(PLACE, units[3], { keyframe: true })]);
  desk.frame([video(PLACE, units[4])]);
  await desk.settled();
  await assertColors(page, inside(GREEN), TOLERANCE);
  await assertStats(page, { videoSkipped: 1, videoUnits: 4, undecodable: 0 });
}));

test('a keyframe within the refresh itself is shown', () => withDesk(async (page, desk) => {
  const units = await flat(page, PLACE, [RED, GREEN]);
  desk.keyframe(0x111111, [video(PLACE, units[0], { keyframe: true }), video(PLACE, units[1], { stream: 1 })]);
  await desk.settled();
  await assertColors(page, inside(RED), TOLERANCE);
  await assertStats(page, { videoSkipped: 1 });
  // Another epoch has other streams, and no unit of theirs without a keyframe.
  desk.keyframe(0x222222, [], { epoch: 2 });
  desk.frame([video(PLACE, units[1])], { epoch: 2 });
  await desk.settled();
  await assertColors(page, inside(0x222222));
}));

test('a unit that is garbage shows nothing of its frame; the screen is asked for and goes on', () => withDesk(async (page, desk) => {
  const units = await flat(page, PLACE, [RED, GREEN, BLUE, GREY, GREEN], [0, 3]);
  desk.frame([video(PLACE, units[0], { keyframe: true })]);
  await desk.settled();
  desk.frame([{ kind: 'fill', x: 0, y: 0, width: 5, height: 5, color: 0xabcdef }, video(PLACE, GARBAGE)]);
  desk.frame([video(PLACE, units[2])]);
  await desk.heard('refresh');
  await desk.settled();
  await sleep(200);
  await assertColors(page, inside(RED), TOLERANCE);
  await assertColors(page, [[2, 2, GROUND]]);
  desk.keyframe(0x111111);
  desk.frame([video(PLACE, units[2])]);
  desk.frame([video(PLACE, units[3], { keyframe: true })]);
  desk.frame([video(PLACE, units[4])]);
  await desk.settled();
  await assertColors(page, inside(GREEN), TOLERANCE);
  await assertStats(page, { undecodable: 1, refreshes: 1, videoSkipped: 1 });
  assert.equal(desk.count('refresh'), 1);
}));

test('a browser that fails again and again is served without H.264', () => withDesk(async (page, desk) => {
  const units = await flat(page, PLACE, [RED]);
  const next = Desk.next(set.impostor, SIZE, 0x334455);
  // Parameter sets that are right, and then nothing that is.
  const broken = Uint8Array.from([...units[0].subarray(0, 40), ...GARBAGE]);
  for (let step = 0; step < 3; step += 1) {
    desk.keyframe(0x111111, [video(PLACE, broken, { keyframe: true })]);
    if (step < 2) await desk.settled();
  }
  const again = await next;
  assert.equal(again.capabilities & H264, 0);
  await waitState(page, 'live');
  await again.settled();
  await assertColors(page, inside(0x334455));
  await assertStats(page, { h264: 'failed' });
  // A server that sends it all the same is asked for the screen, on the same connection.
  again.keyframe(0x111111, [video(PLACE, broken, { keyframe: true })]);
  await again.heard('refresh');
}));

test('a unit that makes no picture holds nothing up for long', () => withDesk(async (page, desk) => {
  const units = await flat(page, PLACE, [RED, GREEN], [0, 1]);
  desk.frame([video(PLACE, units[0], { keyframe: true })]);
  await desk.settled();
  const own = await worker(page);
  await own.evaluate(() => { (/** @type {any} */ (self)).isSwallowing = true; });
  desk.frame([video(PLACE, units[1], { keyframe: true })]);
  await desk.heard('refresh');
  await desk.settled();
  await own.evaluate(() => { (/** @type {any} */ (self)).isSwallowing = false; });
  desk.keyframe(0x111111, [video(PLACE, units[1], { keyframe: true })]);
  await desk.settled();
  await assertColors(page, inside(GREEN), TOLERANCE);
  await assertStats(page, { undecodable: 1 });
}));

test('a burst of units is painted in order and whole', () => withDesk(async (page, desk) => {
  const colors = Array.from({ length: 24 }, (_, at) => [RED, GREEN, BLUE, GREY][at % 4]);
  const units = await flat(page, PLACE, colors);
  const other = { x: 180, y: 100, width: 64, height: 48 };
  const others = await flat(page, other, colors);
  for (let at = 0; at < colors.length; at += 1) {
    desk.frame([
      video(PLACE, units[at], { keyframe: at === 0 }), video(other, others[at], { keyframe: at === 0, stream: 9 }),
    ]);
  }
  await desk.settled();
  await assertColors(page, [...inside(colors[23]), [200, 120, colors[23]]], TOLERANCE);
  const acks = desk.viewer.said.flatMap((packet) => (packet.type === 'ack' ? [packet.id] : []));
  assert.deepEqual(acks, [...acks.keys()].map((at) => at + 1));
}));

/** How many decoders there are. @param {Page} page */
const decoders = async (page) => (await worker(page)).evaluate(() => (/** @type {any} */ (self)).lattice.video.open);

test('decoders are closed when they are idle, and when the connection ends', () => withDesk(async (page, desk) => {
  const units = await flat(page, PLACE, [RED, GREEN, BLUE]);
  for (const stream of [0, 15]) desk.frame([video(PLACE, units[0], { keyframe: true, stream })]);
  await desk.settled();
  assert.equal(await decoders(page), 2);
  const until = Date.now() + 10_500;
  while (Date.now() < until) {
    desk.frame([video(PLACE, units[0], { keyframe: true, stream: 15 })]);
    await sleep(500);
  }
  assert.equal(await decoders(page), 1);
  desk.frame([video(PLACE, units[1])]);
  await desk.settled();
  await assertStats(page, { videoSkipped: 1 });
  const next = Desk.next(set.impostor, SIZE, GROUND);
  desk.viewer.close(1012);
  await eventually('no decoder', async () => (await decoders(page)) === 0);
  (await next).frame([video(PLACE, units[2])]);
  await (await next).settled();
  await assertColors(page, inside(GROUND));
}));

test('the panel says what limits the picture', async () => {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    await withDesk(async (page, desk) => {
      const units = await flat(page, PLACE, [RED]);
      const figures = page.locator('#figures');
      assert.doesNotMatch(await figures.innerText(), /limited/i);
      desk.viewer.send(encodeServer({ type: 'condition', bottleneck: 'network', bitrate: 8_000_000, debtMs: 40 }));
      desk.frame([video(PLACE, units[0], { keyframe: true })]);
      await eventually('the panel to say so', async () => /Limited by\s*the network/.test(await figures.innerText()));
      assert.match(await figures.innerText(), /up to 1\.0 MB\/s/);
      await eventually('the frame to count', async () => /Video and tiles/.test(await figures.innerText()));
      assert.equal(await page.locator('#stats-hint').isVisible(), false);
      await shoot(page, `stats-limited-${colorScheme}`);
      await assertStats(page, { bottleneck: 'network', bitrate: 8_000_000, debtMs: 40 });
      desk.viewer.send(encodeServer({ type: 'condition', bottleneck: 'nothing', bitrate: 0xffffffff, debtMs: 0 }));
      await eventually('nothing to limit it', async () => !/Limited/.test(await figures.innerText()));
    }, { search: '?stats=1', options: { colorScheme } });
  }
});

for (const [what, how, words] of /** @type {const} */ ([
  ['without a secure context', { host: 'desk.example', search: '?stats=1' }, /secure connection/],
  ['that is told so', { search: '?stats=1&h264=off' }, /switched off/],
])) {
  test(`a page ${what} offers no H.264, and says so`, () => withDesk(async (page, desk) => {
    assert.equal(desk.capabilities & H264, 0);
    assert.match(await page.locator('#stats-hint').innerText(), words);
    await shoot(page, `stats-no-h264-${how.search.includes('off') ? 'off' : 'insecure'}`);
  }, how));
}
