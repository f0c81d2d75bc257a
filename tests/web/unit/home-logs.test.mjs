// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MOST, apply, fresh, initial, pieces, visible } from '../../../web/home/logs.js';

/** @import { LogsEvent } from '../../../web/home/kept.js' */

/** @param {...LogsEvent} events */
const after = (...events) => events.reduce(apply, initial());
/** @param {...string} texts @returns {LogsEvent} */
const lines = (...texts) => ({ type: 'lines', lines: texts.map((text) => ({ at: null, text })) });
/** @param {import('../../../web/home/kept.js').LogsModel} model */
const texts = (model) => visible(model).map(({ text }) => text);
const open = /** @type {LogsEvent[]} */ ([{ type: 'opened' }, { type: 'parts', parts: [{ part: 'xorg' }, { part: 'app:code', title: 'VS Code' }] }, { type: 'ready' }]);

test('the first part is shown first, and another one begins anew', () => {
  assert.equal(after(...open).part, 'xorg');
  const model = after(...open, lines('a'), { type: 'query', query: 'x' }, { type: 'part', part: 'app:code' });
  assert.deepEqual([model.part, model.lines, model.query, model.state], ['app:code', [], 'x', 'reading']);
});

test('who scrolls up reads on undisturbed, and is told how much is new', () => {
  const held = after(...open, lines('a', 'b'), { type: 'held' }, lines('c'), lines('d'));
  assert.deepEqual([texts(held), fresh(held)], [['a', 'b'], 2]);
  const followed = apply(held, { type: 'followed' });
  assert.deepEqual([texts(followed), fresh(followed)], [['a', 'b', 'c', 'd'], 0]);
});

test('no more lines are kept than can be shown, each told from the others', () => {
  const many = Array.from({ length: MOST }, (_, at) => `line ${at}`);
  const model = after(...open, lines(...many), lines('last', 'very last'));
  assert.equal(model.lines.length, MOST);
  assert.equal(texts(model).at(-1), 'very last');
  assert.equal(new Set(model.lines.map(({ number }) => number)).size, MOST);
});

test('a connection that is made again shows each line once', () => {
  assert.deepEqual(texts(after(...open, lines('a', 'b'), { type: 'lost' }, { type: 'ready' }, lines('a', 'b', 'c'))), ['a', 'b', 'c']);
});

test('what was read of a part that is gone can still be read', () => {
  const gone = after(...open, lines('why it ended'), { type: 'lost' }, { type: 'parts', parts: [{ part: 'desktop' }] });
  assert.deepEqual([gone.part, gone.state, texts(gone)], ['xorg', 'ended', ['why it ended']]);
  assert.equal(after({ type: 'opened' }, { type: 'parts', parts: [] }).part, '');
});

test('lines are found whatever the case, and what was looked for is pointed out', () => {
  const model = after(...open, lines('An Error', 'fine', 'no error: error'), { type: 'query', query: ' ERROR ' });
  assert.deepEqual(texts(model), ['An Error', 'no error: error']);
  assert.deepEqual(pieces('no error: error', 'ERROR'), ['no ', 'error', ': ', 'error', '']);
  assert.deepEqual(pieces('plain', ''), ['plain']);
  assert.deepEqual(pieces('İstanbul', 'i'), ['İstanbul'], 'its lower case is longer');
});
