// @ts-check
/** What drawings and paintings amount to. Pure: it is given times, it reads no clock. */

import { percentiles } from './figures.mjs';

/**
 * @typedef {{ first: number, beats: number[] }} Played the number of the first drawing, and when each was sent
 * @typedef {import('./probe.mjs').Painting} Painting
 */

/** Numbers in the picture begin again after so many. */
const NUMBERS = 4096;
/** A picture that is so much older than usual is debt. */
const DEBT_MS = 500;
const STEP_MS = 10;
/** What is equal in every bit, in decibels. */
const EQUAL_DB = 99;

/** The number of a whole picture. @param {Painting} painting */
const numberOf = ({ numbers: [first, ...others] }) => (
  typeof first === 'number' && others.every((other) => other === first) ? first : null);

/** A picture whose marks are all readable and disagree. @param {Painting} painting */
const isTorn = ({ numbers }) => numbers.every((number) => number !== null) && new Set(numbers).size > 1;

/**
 * Each drawing that was seen as a whole picture, at its first painting.
 * @param {Played} played @param {Painting[]} paintings
 * @returns {{ number: number, drawn: number, at: number }[]}
 */
function delivered({ first, beats }, paintings) {
  const seen = new Map();
  for (const painting of paintings) {
    const shown = numberOf(painting);
    if (shown === null) continue;
    const index = (shown - first % NUMBERS + NUMBERS) % NUMBERS;
    const drawn = beats[index];
    if (drawn !== undefined && !seen.has(index)) seen.set(index, { number: first + index, drawn, at: painting.at });
  }
  return [...seen.values()];
}

/** @param {Played} played @param {Painting[]} paintings @param {number | null} usual milliseconds that the link allows, if they are known */
export function judge(played, paintings, usual = null) {
  const seen = delivered(played, paintings);
  const count = played.beats.length;
  return {
    drawn: count, delivered: seen.length,
    torn: paintings.filter(isTorn).length,
    unreadable: paintings.filter(({ numbers }) => numbers.includes(null)).length,
    drawToPaintMs: percentiles(seen.map(({ drawn, at }) => at - drawn)),
    debt: debt(played, seen, usual ?? lowest(seen)),
  };
}

/**
 * How much older than usual the picture on view was: the age of the oldest drawing that was not on
 * view yet, less the usual latency. Unlike the latency of what was delivered it also counts the time
 * in which nothing came.
 * @param {Played} played @param {{ number: number, drawn: number, at: number }[]} seen @param {number} usual
 */
function debt({ first, beats }, seen, usual) {
  const [start, end] = [beats[0], beats.at(-1)];
  if (seen.length === 0 || start === undefined || end === undefined) return null;
  /** @type {number[]} */
  const debts = [];
  let [shown, next, longest, since] = [-1, 0, 0, /** @type {number | null} */ (null)];
  for (let at = start; at <= end; at += STEP_MS) {
    for (let one = seen[next]; one && one.at <= at; one = seen[next]) {
      shown = Math.max(shown, one.number - first);
      next += 1;
    }
    const missing = beats[shown + 1];
    const age = missing === undefined || missing > at ? 0 : Math.max(0, at - missing - usual);
    debts.push(age);
    if (age <= DEBT_MS) since = null;
    else since ??= at;
    if (since !== null) longest = Math.max(longest, at - since);
  }
  return { ...percentiles(debts), max: Math.max(...debts), longestAboveMs: longest };
}

/** A latency that a link allows: the least of those that are no outliers. @param {{ drawn: number, at: number }[]} seen */
function lowest(seen) {
  const sorted = seen.map(({ drawn, at }) => at - drawn).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 20)] ?? 0;
}

/**
 * How long after `moment` something fresh was on view: drawn after it, or hardly older than usual.
 * @param {Played} played @param {Painting[]} paintings @param {number} moment @param {number | null} allowed
 */
export function recovery(played, paintings, moment, allowed = null) {
  const seen = delivered(played, paintings);
  const usual = allowed ?? lowest(seen);
  const fresh = seen.find(({ drawn, at }) => at >= moment && (drawn >= moment || at - drawn < usual + DEBT_MS));
  return fresh ? fresh.at - moment : null;
}

/** How like the original the samples are: the median of their PSNR. @param {{ number: number, pixels: Buffer }[]} samples @param {(number: number) => Buffer} original */
export function likeness(samples, original) {
  const values = samples.map(({ number, pixels }) => psnr(pixels, original(number))).sort((a, b) => a - b);
  return values[Math.floor(values.length / 2)] ?? null;
}

/** In decibels, of three channels. @param {Buffer} shown @param {Buffer} real */
function psnr(shown, real) {
  let sum = 0;
  for (let at = 0; at < real.length; at += 4) {
    for (let channel = at; channel < at + 3; channel += 1) sum += ((shown[channel] ?? 0) - (real[channel] ?? 0)) ** 2;
  }
  const mean = sum / (real.length / 4 * 3);
  return mean === 0 ? EQUAL_DB : Math.min(EQUAL_DB, 10 * Math.log10(255 ** 2 / mean));
}

/** Which frame of the footage a number shows: they go to and fro. @param {number} number @param {number} frames */
export function frameOf(number, frames) {
  const turn = 2 * (frames - 1);
  return Math.min(number % turn, turn - number % turn);
}
