// What people are told whose desktop rests or waits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { place } from '../../../web/client/line.js';
import { notice } from '../../../web/client/rest.js';
import { restingWords } from '../../../web/app/words.js';

const standing = (is, more = {}) => ({ type: 'standing', is, ...more });
const warned = (more = {}) => standing('warned', { idleS: 1500, leftS: 300, stops: false, ...more });

for (const [queue, words] of [
  [[1, null], '1st in line'], [[2, 59], '2nd in line, less than a minute'], [[3, 120], '3rd in line, about 2 minutes'],
  [[4, 60], '4th in line, about 1 minute'], [[11, 61], '11th in line, about 2 minutes'], [[21, 0], '21st in line, less than a minute'],
  [[113, null], '113th in line'],
]) {
  test(words, () => assert.equal(place({ position: queue[0], etaS: queue[1] }), words));
}

test('who may work is warned with a way to go on, others without', () => {
  const text = 'Nobody has worked here for 25 minutes. It pauses in 5 minutes; your work is kept.';
  assert.deepEqual(notice(warned(), 0, true), { text, canGoOn: true });
  assert.deepEqual(notice(warned(), 0, false), { text, canGoOn: false });
});

test('a warning goes on by itself, and never says that nothing is left', () => {
  assert.match(notice(warned(), 120, true).text, /for 27 minutes\. It pauses in 3 minutes;/);
  assert.match(notice(warned(), 999, true).text, /in 1 minute;/);
});

test('a desktop that cannot be paused says that it stops', () => {
  assert.match(notice(warned({ stops: true }), 0, true).text, /It stops in 5 minutes; save your work\./);
});

test('a paused desktop says how it goes on', () => {
  assert.equal(notice(standing('paused'), 0, true).text, 'Paused. Move the mouse or press a key to go on.');
  assert.match(notice(standing('paused'), 0, false).text, /when somebody works here again/);
  assert.equal(notice(standing('usual'), 0, true), null);
});

test('without a picture a card says why there is none', () => {
  assert.equal(restingWords(standing('queued', { position: 3, etaS: 120 })).title, 'Waiting for a place');
  assert.match(restingWords(standing('queued', { position: 3, etaS: 120 })).text, /^3rd in line, about 2 minutes\./);
  assert.equal(restingWords(standing('paused'), true).title, 'Paused');
  assert.match(restingWords(standing('paused'), true).text, /press a key/);
  assert.doesNotMatch(restingWords(standing('paused'), false).text, /press a key/);
  assert.equal(restingWords(standing('usual')), null);
  assert.equal(restingWords(warned()), null);
});
