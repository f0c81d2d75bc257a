// What differs between two templates, and what the page keeps of one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, count, offsetOf, pieces } from '../../../web/home/lines.js';
import { apply, initial, isChanged } from '../../../web/home/template.js';

const SIGNS = { same: ' ', gone: '-', new: '+' };
const shown = (before, after) => compare(before, after).map(({ kind, text }) => SIGNS[kind] + text).join('|');

test('lines that are in both stay, others go and come', () => {
  for (const [before, after, expected] of [
    ['', '', ''], ['a\n', 'a\n', ' a'], ['', 'a\nb\n', '+a|+b'], ['a\nb\n', '', '-a|-b'],
    ['a\nb\nc\n', 'a\nx\nc\n', ' a|-b|+x| c'], ['a\nb\nc\nd\n', 'b\nc\ne\nd\n', '-a| b| c|+e| d'],
    ['a\na\n', 'a\n', ' a|-a'], ['a', 'a\n', ' a'], ['a\n\n', 'a\n', ' a|-'],
    ['one\ntwo\nthree\nfour\n', 'zero\ntwo\nfour\nfive\n', '-one|+zero| two|-three| four|+five'],
  ]) assert.equal(shown(before, after), expected, JSON.stringify([before, after]));
});

test('what is compared can be put together again, whatever it is', () => {
  let seed = 7;
  const random = (most) => { seed = (seed * 48271) % 2147483647; return seed % most; };
  const text = () => Array.from({ length: random(30) }, () => `${'abcd'[random(4)]}\n`).join('');
  for (let turn = 0; turn < 300; turn += 1) {
    const [before, after] = [text(), text()];
    const lines = compare(before, after);
    const of = (without) => lines.filter(({ kind }) => kind !== without).map((line) => `${line.text}\n`).join('');
    assert.equal(of('new'), before);
    assert.equal(of('gone'), after);
    assert.deepEqual(lines.filter(({ before: at }) => at).map(({ before: at }) => at), lines.filter(({ before: at }) => at).map((_, at) => at + 1));
  }
});

test('texts too large to compare are one piece that goes and one that comes', () => {
  const long = (letter) => Array.from({ length: 3000 }, (_, at) => `${letter}${at}\n`).join('');
  assert.deepEqual(count(compare(`x\n${long('a')}z\n`, `x\n${long('b')}z\n`)), { gone: 3000, fresh: 3000 });
});

test('only what differs is shown, with three lines around it', () => {
  const lines = Array.from({ length: 40 }, (_, at) => `${at}`);
  const other = lines.map((line, at) => (at === 10 || at === 30 ? `${line}!` : line));
  const found = pieces(compare(lines.join('\n'), other.join('\n')));
  assert.deepEqual(found.map((piece) => [piece[0].text, piece.at(-1).text, piece.length]), [['7', '13', 8], ['27', '33', 8]]);
  assert.deepEqual(pieces(compare('a', 'a')), []);
});

test('a line is found where it begins', () => {
  assert.deepEqual([1, 2, 3, 9].map((line) => offsetOf('ab\nc\nd', line)), [0, 3, 5, 5]);
});

const view = (version, text) => ({ base: 'go', version, text, running: null, may_edit: true, has_apps: true });
const after = (...events) => events.reduce(apply, initial());

test('what was typed is kept when another version comes between', () => {
  const typed = [{ type: 'read', view: view(1, 'a') }, { type: 'typed', text: 'mine' }];
  const between = after(...typed, { type: 'read', view: view(2, 'theirs') });
  assert.deepEqual([between.draft, between.view.version, between.theirs.version], ['mine', 1, 2]);
  const kept = apply(between, { type: 'keep' });
  assert.deepEqual([kept.draft, kept.view.version, kept.theirs, isChanged(kept)], ['mine', 2, null, true]);
  const taken = apply(between, { type: 'take' });
  assert.deepEqual([taken.draft, isChanged(taken)], ['theirs', false]);
  assert.equal(after(typed[0], { type: 'read', view: view(2, 'theirs') }).draft, 'theirs', 'nothing was typed');
});

test('what was found wrong with a text is not said of another', () => {
  const fault = { line: 1, place: 'name', message: 'is wrong' };
  const model = after({ type: 'read', view: view(0, '') }, { type: 'typed', text: 'ab' }, { type: 'checked', text: 'a', faults: [fault] });
  assert.equal(model.faults, null);
  assert.deepEqual(apply(model, { type: 'checked', text: 'ab', faults: [fault] }).faults, [fault]);
  assert.deepEqual(apply(model, { type: 'drop' }).faults, []);
});
