// What people look for, throw away and take back; and what is no picture.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, found, initial } from '../../../web/home/state.js';
import { isBlank, stillSize } from '../../../web/home/still.js';
import { amount, t } from '../../../web/home/words.js';
import { desktop, png } from '../lib/still.mjs';

const OWNER = { id: '1', name: 'ada', display_name: 'Ada Lovelace' };
const desk = (id, more = {}) => ({
  id, name: `Desk ${id}`, template: 'vue', owner: OWNER, state: 'running', reason: '', created_at: '2026-01-01T00:00:00Z', url: `/d/${id}`, role: 'owner', viewers: 0, ...more,
});
const run = (events, from = initial()) => events.reduce(apply, from);

test('desktops are found by all of the words, in any order and anywhere', () => {
  const sessions = [desk('a', { name: 'Maths project' }), desk('b', { name: '' }), desk('c', { owner: { ...OWNER, display_name: 'Sam' } })];
  const model = (query) => run([{ type: 'templates', templates: [{ id: 'vue', title: 'Web with Vue', summary: '' }] }, { type: 'query', query }]);
  const ids = (query) => found(model(query), sessions).map(({ id }) => id).join('');
  assert.equal(ids(''), 'abc');
  assert.equal(ids('   '), 'abc');
  assert.equal(ids('PROJ maths'), 'a');
  assert.equal(ids('web with'), 'abc');
  assert.equal(ids('desktop'), 'b', 'what has no name is called so');
  assert.equal(ids('sam'), 'c');
  assert.equal(ids('.*'), '', 'it is text');
});

test('what is taken back is no longer thrown away', () => {
  const thrown = run([{ type: 'thrown', sessions: [desk('a'), desk('b')] }]);
  const back = run([{ type: 'session', session: desk('a') }], thrown);
  assert.deepEqual(back.thrown.map(({ id }) => id), ['b']);
  assert.deepEqual(back.sessions.items?.map(({ id }) => id), ['a']);
});

test('an offer to undo belongs to one word alone', () => {
  const offered = run([{ type: 'toast', text: 'Deleted', undo: 'a' }]);
  assert.equal(offered.toast?.undo, 'a');
  assert.equal(run([{ type: 'toast', text: 'Saved' }], offered).toast?.undo, '');
});

test('who has yet to sign in gets to the desktop that was asked for, and nobody after them', () => {
  const asked = run([{ type: 'signed-out', guest: null }], initial('desktop', 'a'));
  assert.deepEqual([asked.tab, asked.subject], ['desktop', 'a']);
  const me = { ...OWNER, role: 'member', has_password: true };
  const left = run([{ type: 'signed-in', me }, { type: 'signed-out', guest: null }], asked);
  assert.deepEqual([left.tab, left.subject], ['mine', '']);
});

test('who looks at another desktop is not who looks at this one', () => {
  const viewers = [{ viewer: 1, name: '', role: 'owner', driving: true, you: true }];
  const model = run([{ type: 'tab', tab: 'desktop', subject: 'a' }, { type: 'viewers', session: 'b', viewers }]);
  assert.equal(model.people, null);
  const known = run([{ type: 'viewers', session: 'a', viewers }], model);
  assert.equal(known.people, viewers);
  assert.equal(run([{ type: 'tab', tab: 'desktop', subject: 'b' }], known).people, null);
});

test('a picture is one of the sizes that agents make', () => {
  assert.deepEqual(stillSize(desktop()), { width: 384, height: 216 });
  const white = () => [255, 255, 255];
  for (const bytes of [
    png(1, 1, white, [50_000, 50_000]), png(1, 1, white, [385, 1]), png(1, 1, white, [1, 241]), png(1, 1, white, [0, 1]),
    png(1, 1, white).subarray(0, 33), Buffer.from('GIF89a'.padEnd(99)), Buffer.alloc(0), Buffer.alloc(99),
  ]) assert.equal(stillSize(bytes), null);
  const inside = Buffer.concat([Buffer.alloc(7), png(3, 2, white)]).subarray(7);
  assert.deepEqual(stillSize(inside), { width: 3, height: 2 }, 'wherever its bytes lie');
});

test('amounts are read at a glance', () => {
  const table = [[0, '0 bytes'], [1023, '1023 bytes'], [1024, '1 KB'], [1.5 * 1024 ** 3, '1.5 GB'], [672_137_216, '641 MB'], [5 * 1024 ** 5, '5120 TB']];
  for (const [bytes, text] of table) assert.equal(amount(bytes), text);
});

test('what is said has everything filled in, and what is filled in is left as it is', () => {
  assert.equal(t('rename.title', { name: '{span} $& Maths' }), 'Rename {span} $& Maths');
  assert.equal(t('search.found', { shown: 0, all: 8 }), '0 of 8 desktops match');
});

test('a screen on which nothing was drawn yet is blank, whatever its colour', () => {
  const pixels = (/** @type {number[][]} */ ...all) => Uint8ClampedArray.from(all.flat());
  const [black, grey] = [[0, 0, 0, 255], [40, 41, 44, 255]];
  assert.ok(isBlank(pixels(black, black, [3, 2, 0, 255])) && isBlank(pixels(grey, grey)));
  assert.ok(!isBlank(pixels(black, black, black, [0, 0, 9, 255])));
});
