// @ts-check
/** Measures one row: one kind of work on one desktop in one page. */

import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hash, visibleHash } from '../lib/picture.mjs';
import { sleep } from '../lib/wait.mjs';
import { cpuSeconds, descendants, fromBuckets, machineSeconds, percentiles, pssMiB, rssMiB } from './figures.mjs';
import { frameOf, judge, likeness, recovery } from './judge.mjs';

/**
 * @typedef {{ name: string, motion?: string, hz?: number, keys?: boolean }} Row
 * @typedef {{ desk: import('./desk.mjs').Desk, page: import('playwright-core').Page, probe: import('./probe.mjs').Probe, neverExact?: boolean }} Place
 * @typedef {{ seconds: number, usual?: number | null, begin?: () => Promise<number | null> }} How on a link, `usual`
 *   is the latency that it allows; `begin` starts its course and answers when it will be well again
 */

/** In step with the browser's 60 Hz every frame of a run would be as early or late as the first. */
const OUT_OF_STEP = 0.993;
const KEYS_A_SECOND = 10 * OUT_OF_STEP;
/** Colours, wakeups and caches are warm after this, and nothing is proven any more that somebody asked for. */
const REST_MS = 2500;
/** Motion that runs before it is measured: what is video is known by then. */
const RUN_UP_MS = 1500;
/** The agent reports its numbers once a second; by then what was drawn last is painted, too. */
const REPORT_MS = 1300;
/** A key that changed nothing for so long was not answered; what is not exact by then never will be. */
const BOUNDS = { local: { answerMs: 1000, exactMs: 5000 }, link: { answerMs: 8000, exactMs: 60_000 } };
const HOPELESS_MS = 1000;
/** The part of a video that is compared with the original. */
const SAMPLE = { width: 320, height: 180 };

/** @param {Place} place @param {Row} row @param {How} how */
export async function measure(place, row, { seconds, usual = null, begin }) {
  const bounds = begin ? BOUNDS.link : BOUNDS.local;
  const { desk, page, probe } = place;
  const footage = await prepare(place, row);
  // Who is not exact even at rest is not waited for again.
  place.neverExact ||= (await exactAfter(place, bounds.exactMs)) === null;
  await sleep(REST_MS);
  const buckets = await desk.buckets();
  if (row.motion) await desk.stage.say('beat', (row.hz ?? 1) * OUT_OF_STEP, RUN_UP_MS);
  await probe.paintings();
  const wellAt = await begin?.();
  const pids = { ...desk.processes(), browser: descendants(process.pid, 'chromium'), bench: [process.pid, ...descendants(process.pid, 'x-scene')] };
  const before = { bytes: await desk.bytes(), ...spending(pids) };
  const [played, typed] = await Promise.all([
    row.motion ? desk.stage.say('beat', (row.hz ?? 1) * OUT_OF_STEP, seconds * 1000) : sleep(seconds * 1000).then(() => null),
    row.keys ? typing(place, seconds, bounds.answerMs) : null,
  ]);
  const after = { ...spending(pids), bytes: await desk.bytes() };
  const exactMs = await exactAfter(place, place.neverExact ? HOPELESS_MS : bounds.exactMs);
  await sleep(REPORT_MS);
  const paintings = await probe.paintings();
  const result = {
    row: row.name, seconds, exact: exactMs !== null, exactMs,
    damageToWriteMs: fromBuckets(buckets, await desk.buckets()),
    keyToPaintMs: percentiles(typed?.keys ?? []), unanswered: typed?.unanswered ?? 0,
    ...(played ? judge(played, paintings, usual) : {}),
    recoveryMs: played && wellAt ? recovery(played, paintings, wellAt, usual) : null,
    psnrDb: footage && await likenessOf(place, footage),
    bytes: after.bytes - before.bytes,
    ...usage(before, after, pids),
  };
  if (row.motion) await desk.stage.say('finish');
  return result;
}

/** Opens what will move. @param {Place} place @param {Row} row */
async function prepare({ desk, probe }, { motion }) {
  if (!motion) return null;
  const { marks, area } = await desk.stage.say('prepare', motion);
  const isVideo = motion.endsWith('video');
  const inner = { x: (area.width - SAMPLE.width) / 2 & ~15, y: (area.height - SAMPLE.height) / 2 & ~15, ...SAMPLE };
  await probe.watch(marks, isVideo ? { ...inner, x: inner.x + area.x, y: inner.y + area.y } : null);
  return isVideo ? inner : null;
}

/** @param {Place} place @param {import('./probe.mjs').Area} area */
async function likenessOf({ desk, probe }, { x, y, width, height }) {
  const file = join(tmpdir(), `lattice-bench-${process.pid}.rgba`);
  const { frames } = await desk.stage.say('footage', x, y, width, height, file);
  const footage = readFileSync(file);
  rmSync(file);
  const samples = (await probe.samples()).map(({ number, base64 }) => ({ number, pixels: Buffer.from(base64, 'base64') }));
  const bytes = width * height * 4;
  return likeness(samples, (number) => {
    const at = frameOf(number, frames) * bytes;
    return footage.subarray(at, at + bytes);
  });
}

/** Runs in a page: writes down when keys are pressed, in its own milliseconds since 1970. */
export function notePresses() {
  const own = /** @type {any} */ (window);
  own.pressed = [];
  window.addEventListener('keydown', ({ timeStamp }) => own.pressed.push(performance.timeOrigin + timeStamp), { capture: true });
}

/**
 * Types at the pace of a fast typist, and waits for each answer. `keys` is how long each took until its
 * answer was painted, and `paintedAt` when that was.
 * @param {Pick<Place, 'page' | 'probe'>} place @param {number} seconds @param {number} answerMs
 */
export async function typing({ page, probe }, seconds, answerMs) {
  /** @type {number[]} */
  const keys = [];
  /** @type {number[]} */
  const paintedAt = [];
  let unanswered = 0;
  const start = Date.now();
  for (let key = 0; Date.now() - start < seconds * 1000; key += 1) {
    await probe.armSquare();
    const answer = probe.squareChanged(answerMs);
    await page.keyboard.press('abcdefghijklmnopqrstuvwxyz'[key % 26] ?? 'a');
    const at = await answer;
    const pressed = await page.evaluate(() => (/** @type {any} */ (window)).pressed.splice(0).at(-1));
    if (at === null) unanswered += 1;
    else {
      keys.push(at - (pressed - probe.clockAhead));
      paintedAt.push(at);
    }
    // Not in step with anything that ticks.
    const pause = start + (key + 1) * (1000 / KEYS_A_SECOND) + Math.random() * 20 - Date.now();
    await sleep(Math.max(0, pause));
  }
  return { keys, paintedAt, unanswered };
}

/**
 * Milliseconds until the canvas shows what the display does, and the client itself agrees; null where
 * it never does.
 * @param {Pick<Place, 'desk' | 'page'>} place @param {number} boundMs
 */
export async function exactAfter({ desk, page }, boundMs) {
  const start = performance.now();
  const real = hash(await desk.stage.image());
  let shownAt = null;
  for (let waited = 0; waited < boundMs; waited = performance.now() - start) {
    const lookedAt = performance.now() - start;
    if (shownAt === null && await visibleHash(page, desk.canvas) === real) shownAt = lookedAt;
    if (shownAt !== null && await desk.claims(page)) return shownAt;
    await sleep(20);
  }
  return null;
}

/** @param {Record<string, number[]>} pids */
function spending(pids) {
  const spent = Object.entries(pids).map(([who, list]) => /** @type {const} */ ([who, list.reduce((sum, pid) => sum + cpuSeconds(pid), 0)]));
  return { at: performance.now(), machine: machineSeconds(), cpu: new Map(spent) };
}

/**
 * Seconds of processor time per second, of each and of all that is no part of this measurement; and memory.
 * @param {ReturnType<typeof spending>} before @param {ReturnType<typeof spending>} after @param {Record<string, number[]>} pids
 */
function usage(before, after, pids) {
  const time = (after.at - before.at) / 1000;
  const each = Object.keys(pids).map((who) => /** @type {const} */ (
    [who, Math.max(0, (after.cpu.get(who) ?? 0) - (before.cpu.get(who) ?? 0)) / time]));
  const own = each.reduce((sum, [, share]) => sum + share, 0);
  const memory = (/** @type {(pid: number) => number} */ figure) => Object.fromEntries(
    Object.entries(pids).filter(([who]) => who !== 'bench').map(([who, list]) => [who, list.reduce((sum, pid) => sum + figure(pid), 0)]));
  return {
    time, cpu: Object.fromEntries(each.filter(([who]) => who !== 'bench')),
    others: Math.max(0, (after.machine - before.machine) / time - own),
    pssMiB: memory(pssMiB), rssMiB: memory(rssMiB),
  };
}
