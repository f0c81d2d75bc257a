// @ts-check
/** What `/proc` and `/metrics` tell, and percentiles of it. */

import { readFileSync, readdirSync } from 'node:fs';

/** USER_HZ of Linux. */
const TICKS_A_SECOND = 100;

/** The sum of a metric's series. @param {string} text @param {string} name @param {string} label */
export function sumOf(text, name, label) {
  const lines = text.split('\n').filter((line) => (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) && line.includes(label));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Upper edges and cumulated counts. @param {string} text @param {string} name @returns {[number, number][]} */
export function bucketsOf(text, name) {
  const pattern = new RegExp(`^${name}_bucket\\{.*le="([^"]+)".*\\} (\\d+)$`, 'gm');
  return [...text.matchAll(pattern)].map(([, edge, count]) => [edge === '+Inf' ? Infinity : Number(edge), Number(count)]);
}

/** Percentiles of what was counted between two moments. @param {[number, number][]} before @param {[number, number][]} after */
export function fromBuckets(before, after) {
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
export function percentiles(values) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), count: sorted.length };
}

/** Processor time of a process so far. @param {number} pid */
export function cpuSeconds(pid) {
  const fields = stat(pid);
  return fields ? (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND : 0;
}

/** Processor time of the whole machine so far, with what the host took from it. */
export function machineSeconds() {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = read('/proc/stat')
    .split('\n', 1)[0]?.trim().split(/ +/).slice(1).map(Number) ?? [];
  return (user + nice + system + irq + softirq + steal) / TICKS_A_SECOND;
}

/** What would be free again without the process, in MiB. @param {number} pid */
export const pssMiB = (pid) => Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) / 1024;

/** What of the process is in memory, shared or not, in MiB. @param {number} pid */
export const rssMiB = (pid) => Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;

/** All processes of this program below `root`. @param {number} root @param {string} name @returns {number[]} */
export function descendants(root, name) {
  const all = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)).map(Number);
  const parents = new Map(all.map((pid) => [pid, Number(stat(pid)?.[1])]));
  const below = (/** @type {number} */ parent) => /** @type {number[]} */ (
    all.filter((pid) => parents.get(pid) === parent).flatMap((pid) => [pid, ...below(pid)]));
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
