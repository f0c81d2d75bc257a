// @ts-check
/**
 * Measures one share in one real Chromium on loopback, and prints what it found as JSON; `cargo
 * xtask bench` makes a table of it. Arguments: seconds a row, width, height.
 *
 * - `drawToWriteMs`: from the DAMAGE event to the write of the WebSocket message, as the gateway
 *   counts it (`lattice_damage_to_write_seconds`), so to the nearest bucket, interpolated.
 * - `keyToPixelMs`: from the key's event in the page to the end of painting its answer on the
 *   canvas. The X client answers each key with a square of another colour.
 * - `cpu`: seconds of processor time per second, of all threads.
 * - `pssMiB`: what would be free again without the process.
 */

import { readFileSync, readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { launch, open, stats, waitState } from '../lib/browser.mjs';
import { assertExact } from '../lib/picture.mjs';
import { Share } from '../lib/share.mjs';
import { Stage } from '../lib/stage.mjs';
import { eventually, sleep } from '../lib/wait.mjs';

const [seconds = 10, width = 1920, height = 1080] = process.argv.slice(2).map(Number);
const KEYS_A_SECOND = 10;
/** A key that no frame echoed for so long was not measured. */
const ANSWER_MS = 1000;
/** USER_HZ of Linux. */
const TICKS_A_SECOND = 100;
/** Colours, wakeups and caches are warm after this. */
const WARM_UP_MS = 2000;

const stage = new Stage();
const xserver = await stage.say('serve', 'xorg', width, height);
stage.display = xserver.display;
stage.xauthority = xserver.xauthority;
await stage.say('text');
await stage.say('type-log');
const share = await Share.start(stage);
const browser = await launch();
const { page, close } = await open(browser, share.url, { viewport: { width, height } });
await waitState(page, 'live');
await page.locator('#screen').focus();

const processes = {
  agent: [await share.agent()], gateway: [share.pid], x: [xserver.pid], browser: descendants(process.pid, 'chromium'),
};
await sleep(WARM_UP_MS);

const rows = [];
for (const [name, work] of /** @type {const} */ ([['idle', idle], ['typing', typing], ['scroll', scroll], ['drag', drag]])) {
  process.stderr.write(`${name} for ${seconds} s\n`);
  rows.push(await measure(name, work));
}
console.log(JSON.stringify({ seconds, width, height, processor: cpus()[0]?.model, cores: cpus().length, rows }));
await close();
await browser.close();
await share.end();
await stage.end();

async function idle() {
  await sleep(seconds * 1000);
  return [];
}

/** Types at the pace of a fast typist, and waits for each answer. */
async function typing() {
  /** @type {number[]} */
  const samples = [];
  let unanswered = 0;
  const start = Date.now();
  for (let key = 0; Date.now() - start < seconds * 1000; key += 1) {
    const { keyToPixelCount } = await stats(page);
    await page.keyboard.press('abcdefghijklmnopqrstuvwxyz'[key % 26] ?? 'a');
    const answered = await eventually('the answer to a key', async () => {
      const now = await stats(page);
      return now.keyToPixelCount > keyToPixelCount && now;
    }, ANSWER_MS).catch(() => null);
    if (answered) samples.push(answered.keyToPixelLastMs);
    else unanswered += 1;
    // Not in step with anything that ticks.
    const pause = start + (key + 1) * (1000 / KEYS_A_SECOND) + Math.random() * 20 - Date.now();
    await sleep(Math.max(0, pause));
  }
  if (unanswered > 0) process.stderr.write(`no frame echoed ${unanswered} of ${unanswered + samples.length} keys\n`);
  return samples;
}

async function scroll() {
  await stage.say('play', 'scroll', seconds * 1000);
  return [];
}

async function drag() {
  await stage.say('play', 'drag', seconds * 1000);
  return [];
}

/** @param {string} name @param {() => Promise<number[]>} work */
async function measure(name, work) {
  await assertExact(page, stage);
  const before = await snapshot();
  const keys = await work();
  const after = await snapshot();
  const spent = (after.at - before.at) / 1000;
  let exact = true;
  try {
    await assertExact(page, stage);
  } catch (error) {
    exact = false;
    process.stderr.write(`${name}: ${error}\n`);
  }
  const frames = after.frames - before.frames;
  const bytes = after.bytes - before.bytes;
  const perSecond = (/** @type {keyof typeof processes} */ who) => (after.cpu[who] - before.cpu[who]) / spent;
  return {
    name, exact, framesPerSecond: frames / spent, bytesPerSecond: bytes / spent,
    bytesPerFrame: frames ? bytes / frames : null,
    drawToWriteMs: fromBuckets(before.buckets, after.buckets),
    keyToPixelMs: keys.length ? percentiles(keys) : null,
    cpu: { agent: perSecond('agent'), gateway: perSecond('gateway'), x: perSecond('x'), browser: perSecond('browser') },
    pssMiB: { agent: pss('agent'), gateway: pss('gateway'), x: pss('x'), browser: pss('browser') },
  };
}

async function snapshot() {
  const answer = await fetch(`http://${share.address}/metrics`, { headers: { Authorization: `Bearer ${share.token}` } });
  const text = await answer.text();
  const cpu = (/** @type {keyof typeof processes} */ who) => processes[who].reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  return {
    at: performance.now(), buckets: bucketsOf(text, 'lattice_damage_to_write_seconds'),
    frames: sumOf(text, 'lattice_agent_frames_total', ''), bytes: sumOf(text, 'lattice_ws_bytes_total', 'dir="out"'),
    cpu: { agent: cpu('agent'), gateway: cpu('gateway'), x: cpu('x'), browser: cpu('browser') },
  };
}

/** @param {string} text @param {string} name @param {string} label */
function sumOf(text, name, label) {
  const lines = text.split('\n').filter((line) => (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) && line.includes(label));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Upper edges and cumulated counts. @param {string} text @param {string} name @returns {[number, number][]} */
function bucketsOf(text, name) {
  const pattern = new RegExp(`^${name}_bucket\\{.*le="([^"]+)".*\\} (\\d+)$`, 'gm');
  return [...text.matchAll(pattern)].map(([, edge, count]) => [edge === '+Inf' ? Infinity : Number(edge), Number(count)]);
}

/** Percentiles of what was counted between two moments. @param {[number, number][]} before @param {[number, number][]} after */
function fromBuckets(before, after) {
  const counts = after.map(([edge, count], at) => /** @type {const} */ ([edge, count - (before[at]?.[1] ?? 0)]));
  const total = counts.at(-1)?.[1] ?? 0;
  if (total === 0) return null;
  const at = (/** @type {number} */ share) => {
    const rank = share * total;
    const index = counts.findIndex(([, count]) => count >= rank);
    const [edge, count] = counts[index] ?? [NaN, NaN];
    const [lower, below] = counts[index - 1] ?? [0, 0];
    if (edge === Infinity) return lower * 1000;
    return (lower + (edge - lower) * ((rank - below) / (count - below))) * 1000;
  };
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), count: total };
}

/** @param {number[]} values */
function percentiles(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), count: sorted.length };
}

/** @param {number} pid */
function cpuSeconds(pid) {
  const fields = stat(pid);
  return fields ? (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND : 0;
}

/** @param {keyof typeof processes} who */
function pss(who) {
  const kib = processes[who].map((pid) => Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0));
  return kib.reduce((sum, own) => sum + own, 0) / 1024;
}

/** All processes of this program below `root`. @param {number} root @param {string} name @returns {number[]} */
function descendants(root, name) {
  const all = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)).map(Number);
  const below = (/** @type {number} */ parent) => /** @type {number[]} */ (
    all.filter((pid) => Number(stat(pid)?.[1]) === parent).flatMap((pid) => [pid, ...below(pid)]));
  return below(root).filter((pid) => read(`/proc/${pid}/comm`).startsWith(name));
}

/** The fields after the name, which may hold blanks. @param {number} pid */
function stat(pid) {
  const text = read(`/proc/${pid}/stat`);
  return text ? text.slice(text.lastIndexOf(')') + 2).split(' ') : null;
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
