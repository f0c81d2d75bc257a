/** What differs between two texts, line by line. Pure. */

/** @typedef {{ kind: 'same' | 'gone' | 'new', text: string, before: number, after: number }} Line numbers from 1; 0 where it is not in that text */

/** Beyond so many pairs of lines to compare, what differs is shown as one piece. */
const MOST_PAIRS = 4_000_000;
/** So many lines are shown around what differs. */
const AROUND = 3;

/** @param {string} text */
const linesOf = (text) => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));

/**
 * All lines of both texts in order: those of the longest sequence that both have are the same.
 * @param {string} before @param {string} after @returns {Line[]}
 */
export function compare(before, after) {
  const [old, fresh] = [linesOf(before), linesOf(after)];
  let start = 0;
  while (start < old.length && start < fresh.length && old[start] === fresh[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < fresh.length - start && old.at(-1 - end) === fresh.at(-1 - end)) end += 1;
  /** @type {Line[]} */
  const lines = [];
  let [at, to] = [0, 0];
  const same = (/** @type {number} */ count) => {
    for (; count > 0; count -= 1, at += 1, to += 1) lines.push({ kind: 'same', text: old[at] ?? '', before: at + 1, after: to + 1 });
  };
  const gone = () => { lines.push({ kind: 'gone', text: old[at] ?? '', before: at + 1, after: 0 }); at += 1; };
  const added = () => { lines.push({ kind: 'new', text: fresh[to] ?? '', before: 0, after: to + 1 }); to += 1; };
  same(start);
  for (const [one, other] of [...common(old.slice(start, old.length - end), fresh.slice(start, fresh.length - end)), [old.length - end - start, fresh.length - end - start]]) {
    while (at < start + (one ?? 0)) gone();
    while (to < start + (other ?? 0)) added();
    if (at < old.length - end || to < fresh.length - end) same(1);
  }
  same(end);
  return lines;
}

/**
 * The places in both of the longest sequence that they have in common.
 * @param {readonly string[]} old @param {readonly string[]} fresh @returns {[number, number][]}
 */
function common(old, fresh) {
  if (old.length * fresh.length > MOST_PAIRS) return [];
  const width = fresh.length + 1;
  /** How long it is from a place on: rows of `old`, columns of `fresh`. */
  const lengths = new Uint32Array((old.length + 1) * width);
  const length = (/** @type {number} */ row, /** @type {number} */ column) => lengths[row * width + column] ?? 0;
  for (let row = old.length - 1; row >= 0; row -= 1) {
    for (let column = fresh.length - 1; column >= 0; column -= 1) {
      lengths[row * width + column] = old[row] === fresh[column]
        ? length(row + 1, column + 1) + 1
        : Math.max(length(row + 1, column), length(row, column + 1));
    }
  }
  /** @type {[number, number][]} */
  const found = [];
  for (let row = 0, column = 0; row < old.length && column < fresh.length;) {
    if (old[row] === fresh[column]) found.push([row++, column++]);
    else if (length(row + 1, column) >= length(row, column + 1)) row += 1;
    else column += 1;
  }
  return found;
}

/**
 * Only what differs and the lines around it, in pieces.
 * @param {readonly Line[]} lines @returns {Line[][]}
 */
export function pieces(lines) {
  const shown = lines.map((_, at) => lines.slice(Math.max(at - AROUND, 0), at + AROUND + 1).some(({ kind }) => kind !== 'same'));
  /** @type {Line[][]} */
  const all = [];
  lines.forEach((line, at) => {
    if (!shown[at]) return;
    if (at === 0 || !shown[at - 1]) all.push([]);
    all.at(-1)?.push(line);
  });
  return all;
}

/** How many lines go and how many come. @param {readonly Line[]} lines */
export const count = (lines) => ({
  gone: lines.filter(({ kind }) => kind === 'gone').length, fresh: lines.filter(({ kind }) => kind === 'new').length,
});

/** Where in a text a line begins, from 1. @param {string} text @param {number} line */
export function offsetOf(text, line) {
  let at = 0;
  for (let number = 1; number < line; number += 1) {
    const next = text.indexOf('\n', at);
    if (next < 0) break;
    at = next + 1;
  }
  return at;
}
