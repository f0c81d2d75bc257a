// @ts-check
/**
 * Somebody who types on a desktop, in a real browser: `node typist.mjs URL NAME SESSION X Y`, with the
 * password in `LATTICE_PASSWORD`. The pixel X, Y of the desktop has another colour after each key. Says
 * `ready`, then types for as many seconds as each line of its input says, and tells as JSON the
 * percentiles of two latencies in milliseconds:
 *
 * - `painted`: from the key's event in the page to the painting of its answer.
 * - `seen`: until the next picture that a screen with 60 a second shows after that.
 */

import { createInterface } from 'node:readline';
import { launch, open, waitState } from '../lib/browser.mjs';
import { signIn } from '../lib/home.mjs';
import { settled } from '../lib/school.mjs';
import { eventually } from '../lib/wait.mjs';
import { viewerSurface } from './desk.mjs';
import { percentiles } from './figures.mjs';
import { notePresses, typing } from './measure.mjs';
import { Probe } from './probe.mjs';

/** A key that changed nothing for so long was not answered. */
const ANSWER_MS = 8000;

const [url, name, session, x, y] = process.argv.slice(2);
const password = process.env.LATTICE_PASSWORD;
if (!url || !name || !session || !x || !y || !password) throw new Error('usage: LATTICE_PASSWORD=… node typist.mjs URL NAME SESSION X Y');

const browser = await launch();
const { page } = await open(browser, url);
await signIn(page, { name, password });
await page.goto(new URL(`/d/${session}`, url).href);
await waitState(page, 'live');
await settled(page);
await page.locator('#screen').focus();
await page.evaluate(notePresses);
await page.evaluate(noteRefreshes);
const surface = await eventually('a surface', () => viewerSurface(page).catch(() => null));
const probe = await Probe.start(surface, { x: Number(x), y: Number(y) });
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  await refreshes();
  const { keys, paintedAt, unanswered } = await typing({ page, probe }, Number(line), ANSWER_MS);
  const shownAt = await refreshes();
  const seen = keys.flatMap((key, at) => {
    const painted = paintedAt[at] ?? 0;
    const shown = shownAt.find((each) => each >= painted);
    return shown === undefined ? [] : [key + shown - painted];
  });
  console.log(JSON.stringify({ painted: percentiles(keys), seen: percentiles(seen), unanswered }));
}
await browser.close();

/** Runs in the page: writes down when its pictures begin, in its own milliseconds since 1970. */
function noteRefreshes() {
  const own = /** @type {any} */ (window);
  own.refreshes = [];
  const note = (/** @type {number} */ at) => {
    own.refreshes.push(performance.timeOrigin + at);
    requestAnimationFrame(note);
  };
  requestAnimationFrame(note);
}

/** When there were pictures since it was asked last, by the system's clock. @returns {Promise<number[]>} */
async function refreshes() {
  const list = await page.evaluate(() => /** @type {any} */ (window).refreshes.splice(0));
  return list.map((/** @type {number} */ at) => at - probe.clockAhead);
}
