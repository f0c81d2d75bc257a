// @ts-check
/** Whether the visible canvas shows what the X server does, read by nothing of the client's own. */

import { createHash } from 'node:crypto';
import { stats } from './browser.mjs';
import { GENEROUS_MS, eventually, patience, sleep } from './wait.mjs';

/**
 * @typedef {import('playwright-core').Page} Page
 * @typedef {import('./stage.mjs').Stage} Stage
 * @typedef {import('./stage.mjs').Image} Image
 */

const EXACT_AFTER_MS = 300;

/** What the canvas shows, drawn onto another one and read there. @param {Page} page @returns {Promise<Image>} */
export async function visible(page) {
  const { width, height, base64 } = await page.evaluate(async () => {
    const screen = /** @type {HTMLCanvasElement} */ (document.getElementById('screen'));
    const scratch = new OffscreenCanvas(screen.width, screen.height);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (
      scratch.getContext('2d', { willReadFrequently: true }));
    context.drawImage(screen, 0, 0);
    const { data } = context.getImageData(0, 0, screen.width, screen.height);
    let text = '';
    for (let at = 0; at < data.length; at += 32_768) {
      text += String.fromCharCode(...data.subarray(at, at + 32_768));
    }
    return { width: screen.width, height: screen.height, base64: btoa(text) };
  });
  return { width, height, data: Buffer.from(base64, 'base64') };
}

/**
 * The hash of what the canvas shows: all that is needed while it is right.
 * @param {Page} page
 * @param {string} canvas or the video that is shown, by a selector
 */
export function visibleHash(page, canvas = '#screen') {
  return page.evaluate(async (canvas) => {
    const screen = /** @type {HTMLCanvasElement | HTMLVideoElement} */ (document.querySelector(canvas));
    const [width, height] = 'videoWidth' in screen ? [screen.videoWidth, screen.videoHeight] : [screen.width, screen.height];
    const scratch = new OffscreenCanvas(width, height);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (
      scratch.getContext('2d', { willReadFrequently: true }));
    context.drawImage(screen, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const hash = await crypto.subtle.digest('SHA-256', data);
    const hex = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return `${width}x${height} ${hex}`;
  }, canvas);
}

/** @param {Image} image */
export const hash = ({ width, height, data }) => `${width}x${height} ${createHash('sha256').update(data).digest('hex')}`;

/** In words; empty where they are equal. @param {Image} shown @param {Image} real */
export function difference(shown, real) {
  if (shown.width !== real.width || shown.height !== real.height) {
    return `shown ${shown.width}x${shown.height}, real ${real.width}x${real.height}`;
  }
  let [count, first, last] = [0, -1, -1];
  for (let at = 0; at < real.data.length; at += 4) {
    if (shown.data.readUInt32LE(at) === real.data.readUInt32LE(at)) continue;
    count += 1;
    if (first < 0) first = at / 4;
    last = at / 4;
  }
  if (count === 0) return '';
  const place = (/** @type {number} */ at) => `(${at % real.width}, ${Math.floor(at / real.width)})`;
  const color = (/** @type {Image} */ image) => image.data.subarray(first * 4, first * 4 + 4).toString('hex');
  return `${count} pixels differ, from ${place(first)} to ${place(last)}; the first is ${color(shown)} and should be ${color(real)}`;
}

/**
 * Checks that the canvas is right in every pixel 300 ms after now, when the display rests, and that
 * the page itself says so. Where the display goes on changing (a clock), rest begins anew.
 * @param {Page} page
 * @param {Stage} stage
 */
export async function assertExact(page, stage) {
  const bound = patience(EXACT_AFTER_MS);
  const deadline = Date.now() + GENEROUS_MS;
  let rest = Date.now();
  let before = await stage.image();
  for (let late = false; ;) {
    await sleep(Math.max(0, rest + bound - Date.now()));
    const shown = await visibleHash(page);
    const after = await stage.image();
    if (hash(before) !== hash(after)) {
      rest = Date.now();
    } else if (shown === hash(before)) {
      if (late) throw new Error(`exact only ${Date.now() - rest} ms after rest`);
      break;
    } else if (Date.now() > deadline) {
      throw new Error(`never exact: ${difference(await visible(page), after)}`);
    } else {
      if (!late) console.log(`not exact ${bound} ms after rest: ${difference(await visible(page), after)}`);
      late = true;
    }
    if (Date.now() > deadline) throw new Error('the display never rests');
    before = after;
  }
  await eventually('the page to say that it is exact', async () => (await stats(page)).exact, 3000);
}
