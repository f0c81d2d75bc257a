// @ts-check
/**
 * Measures desktops in one real Chromium on loopback, and prints what it found as JSON; `cargo xtask
 * bench` makes tables of it. Its argument is the JSON of `Options`.
 *
 * - `keyToPaintMs`: from the key's event in the page to the painting of its answer, a square of
 *   another colour that an X client draws.
 * - `drawToPaintMs`: from an X client's request to the painting of what it drew, of those drawings
 *   that were painted; `delivered` of `drawn` were.
 * - `torn`: paintings whose corners show different drawings.
 * - `damageToWriteMs`: from the DAMAGE event to the write of the WebSocket message, as the gateway
 *   counts it, so to the nearest bucket, interpolated.
 * - `psnrDb`: how like the original video was while it played; 99 is equal.
 * - `debt`: how much longer than usual the viewer had to wait for what was drawn; `recoveryMs`: how
 *   long after the link was well again something fresh was on view.
 * - `cpu`: seconds of processor time per second, of all threads; `others` is all that is no part of
 *   this measurement. A row that others disturbed is measured again.
 * - `exactMs`: from the end of the motion until every pixel was right, to within a look, which takes
 *   about 100 ms; `pssMiB`: what would be free again without the process.
 *
 * Drawing is 0.7 % slower than the rates it is named by: in step with the browser's 60 Hz, every
 * frame of a run would be as early or as late as the first.
 */

import { cpus } from 'node:os';
import { launch, open } from '../lib/browser.mjs';
import { Stage } from '../lib/stage.mjs';
import { eventually } from '../lib/wait.mjs';
import { lattice } from './desk.mjs';
import { join } from './join.mjs';
import { measure, notePresses } from './measure.mjs';
import { Probe } from './probe.mjs';

/** @typedef {import('playwright-core').Browser} Browser */
/** @typedef {{ seconds: number, rounds: number, attempts: number, width: number, height: number, rows: string[], links: string[], peers: string[] }} Options */

/** Seconds of processor time per second that others may take from a row. */
const UNDISTURBED = 0.1;

/** @type {import('./measure.mjs').Row[]} */
const ROWS = [
  { name: 'idle' },
  { name: 'keys', keys: true },
  { name: 'typing', motion: 'type', hz: 10 },
  { name: 'scroll', motion: 'scroll', hz: 30 },
  { name: 'page', motion: 'page', hz: 30 },
  { name: 'console', motion: 'console', hz: 30 },
  { name: 'drag', motion: 'drag', hz: 60 },
  { name: 'video', motion: 'video', hz: 30 },
  { name: 'fullvideo', motion: 'fullvideo', hz: 30 },
];

/** What is measured on a link, after what it allows is known. @type {import('./measure.mjs').Row} */
const ALLOWED = { name: 'typing', motion: 'type', hz: 10 };
/** @type {import('./measure.mjs').Row} */
const LINKED = { name: 'video + keys', motion: 'video', hz: 30, keys: true };
const ALLOWED_SECONDS = 2;
/** A link that changes takes so long at least. */
const COURSE_SECONDS = 12;

const options = /** @type {Options} */ (JSON.parse(process.argv[2] ?? '{}'));
const { seconds, width, height } = options;
/** @type {any[]} */
const results = [];
/** @type {{ candidate: string, error: string }[]} */
const failures = [];
let probeMs = 0;
let isReported = false;
// What was measured is told even where something waits for ever, or the bench is interrupted.
process.once('exit', (status) => {
  if (isReported) return;
  process.stderr.write(`the bench ended before its time, with status ${status}\n`);
  report([...failures, { candidate: 'the bench', error: `it ended before its time, with status ${status}` }]);
  process.exitCode = 1;
});
const candidates = [lattice, ...await peers(options.peers)];
for (let round = 0; round < options.rounds; round += 1) {
  // A B, B A, A B: what drifts falls on all alike.
  const turn = round % 2 ? candidates.toReversed() : candidates;
  if (options.rows.length > 0) for (const candidate of turn) await survive(candidate, (browser) => local(browser, candidate, round));
  for (const link of options.links) for (const candidate of turn) await survive(candidate, (browser) => linked(browser, candidate, link, round));
}
report(failures);
isReported = true;

/** @param {typeof failures} failures */
function report(failures) {
  console.log(JSON.stringify({ ...options, processor: cpus()[0]?.model, cores: cpus().length, probeMs, results, failures }));
}

/**
 * Each turn has a browser of its own, and who fails takes nothing from the others.
 * @param {import('./desk.mjs').Candidate} candidate @param {(browser: Browser) => Promise<void>} work
 */
async function survive(candidate, work) {
  const browser = await launch();
  await work(browser).catch((error) => {
    process.stderr.write(`${candidate.name} failed: ${error?.stack ?? error}\n`);
    failures.push({ candidate: candidate.name, error: `${error?.message ?? error}` });
  });
  await browser.close();
}

/** All wanted rows of a candidate, with nothing between it and the browser. @param {Browser} browser @param {import('./desk.mjs').Candidate} candidate @param {number} round */
async function local(browser, candidate, round) {
  const wanted = ROWS.filter(({ name }) => options.rows.includes(name));
  const desk = await candidate.start({ width, height });
  const keep = (/** @type {object} */ result) => results.push({ candidate: candidate.name, link: null, round, ...result });
  try {
    if (options.rows.includes('join')) keep(await join(browser, desk, { width, height }));
    const place = await look(browser, desk);
    for (const row of wanted) keep(await calmest(candidate.name, place, row));
    probeMs = Math.max(probeMs, await place.probe.cost());
    await place.close();
  } finally {
    await desk.end();
  }
}

/** Video and keys through a link. @param {Browser} browser @param {import('./desk.mjs').Candidate} candidate @param {string} link @param {number} round */
async function linked(browser, candidate, link, round) {
  const network = new Stage();
  const length = /^(step|blackhole)/.test(link) ? Math.max(seconds, COURSE_SECONDS) : seconds;
  const { port: publicPort } = await network.say('relay', link, length * 1000);
  const desk = await candidate.start({ width, height, publicPort });
  await network.say('relay', 'to', desk.port);
  try {
    const place = await look(browser, desk);
    process.stderr.write(`${candidate.name} on ${link} for ${length} s\n`);
    const calm = /** @type {any} */ (await measure(place, ALLOWED, { seconds: ALLOWED_SECONDS, begin: async () => null }));
    const begin = async () => (await network.say('relay', 'begin')).wellAt;
    const result = await measure(place, LINKED, { seconds: length, usual: calm.drawToPaintMs?.p50 ?? null, begin });
    results.push({ candidate: candidate.name, link, round, ...result });
    await place.close();
  } finally {
    await desk.end();
    await network.end();
  }
}

/** @param {string[]} names @returns {Promise<import('./desk.mjs').Candidate[]>} */
async function peers(names) {
  const found = [];
  for (const name of names) {
    const { peer } = await import(`./peers/${name}.mjs`);
    await peer.install();
    found.push(peer);
  }
  return found;
}

/** Opens the desktop in a page that writes down when keys are pressed. @param {Browser} browser @param {import('./desk.mjs').Desk} desk */
async function look(browser, desk) {
  await desk.stage.say('text');
  const square = await desk.stage.say('type-log');
  const { page, close } = await open(browser, desk.url, { viewport: { width, height } });
  await page.evaluate(notePresses);
  await desk.ready(page);
  const surface = await eventually('a surface', () => desk.surface(page).catch(() => null));
  const probe = await Probe.start(surface, { x: square.x + square.side - 8, y: square.y + square.side - 8 });
  return { desk, page, probe, close };
}

/** Measures a row until nobody disturbs it. @param {string} candidate @param {import('./measure.mjs').Place} place @param {import('./measure.mjs').Row} row */
async function calmest(candidate, place, row) {
  let best = null;
  for (let attempt = 1; attempt <= options.attempts; attempt += 1) {
    process.stderr.write(`${candidate}: ${row.name} for ${seconds} s\n`);
    const result = await measure(place, row, { seconds });
    if (!best || result.others < best.others) best = result;
    if (best.others <= UNDISTURBED) break;
    if (attempt < options.attempts) process.stderr.write(`disturbed: others took ${result.others.toFixed(2)} s of processor time a second\n`);
  }
  return best ?? {};
}
