// @ts-check
/** From opening the address to the first picture, on a server that has been asked before. */

import { exactAfter } from './measure.mjs';

const ROUNDS = 5;

/** @param {import('playwright-core').Browser} browser @param {import('./desk.mjs').Desk} desk @param {{ width: number, height: number }} viewport */
export async function join(browser, desk, viewport) {
  await desk.stage.say('text');
  const { marks: [mark] } = await desk.stage.say('prepare', 'scroll');
  const context = await browser.newContext({ viewport });
  await context.addInitScript(watch, { mark, canvas: desk.canvas });
  /** @type {{ first: number, exact: number | null }[]} */
  const joins = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const page = await context.newPage();
    const start = performance.now();
    await page.goto(desk.url);
    const first = await page.evaluate(() => (/** @type {any} */ (window)).benchFirst);
    const opened = performance.now() - start;
    const rest = await exactAfter({ desk, page }, 5000);
    // The first one fills caches.
    if (round > 0) joins.push({ first, exact: rest === null ? null : opened + rest });
    await page.close();
  }
  await context.close();
  await desk.stage.say('finish');
  const median = (/** @type {number[]} */ values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? null;
  const exact = joins.flatMap(({ exact }) => exact ?? []);
  return {
    row: 'join', exact: exact.length === joins.length,
    firstFrameMs: median(joins.map(({ first }) => first)), firstExactMs: median(exact),
  };
}

/**
 * Runs before the page's own scripts: answers when the mark can be read on the canvas, in
 * milliseconds since the navigation began. A look costs up to some 20 ms.
 * @param {{ mark: { x: number, y: number }, canvas: string }} what
 */
function watch({ mark, canvas }) {
  const scratch = new OffscreenCanvas(256, 1);
  const context = scratch.getContext('2d', { willReadFrequently: true });
  const isShown = () => {
    const shown = /** @type {any} */ (document.querySelector(canvas));
    if (!shown || !context || (shown.videoWidth ?? shown.width) < mark.x + 256) return false;
    context.drawImage(shown, mark.x, mark.y + 8, 256, 1, 0, 0, 256, 1);
    const row = context.getImageData(0, 0, 256, 1).data;
    const isWhite = (/** @type {number} */ block) => (row[(block * 16 + 8) * 4 + 1] ?? 0) >= 128;
    return isWhite(0) && !isWhite(1) && !isWhite(2);
  };
  (/** @type {any} */ (window)).benchFirst = new Promise((resolve) => {
    const look = () => {
      if (isShown()) resolve(performance.now());
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
}
