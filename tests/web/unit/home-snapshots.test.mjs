// What the dialog of snapshots makes of what happens, and of names, lengths and bytes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, crumbs, initial, pictureType, size, textOf, within } from '../../../web/home/snapshots.js';
import { SNAPSHOT_CAUSES, SNAPSHOT_KINDS } from '../../../web/home/words.js';

const snapshot = { id: '0', created_at: '2026-11-28T10:00:00Z', cause: 'asked', kind: 'btrfs', files: 1, bytes: 5, left_out: 0 };
const folder = { snapshot, path: 'a', entries: [], cut: false };
const preview = { name: 'b', path: 'a/b', picture: null, text: 'words', cut: false };
const after = (...events) => events.reduce(apply, initial());

test('one goes back a step at a time: from a question, from a file, from a folder', () => {
  const deep = after({ type: 'browsed', folder }, { type: 'previewed', preview }, { type: 'ask', asked: { snapshot, path: 'a/b' } });
  assert.deepEqual([deep.folder, deep.preview, deep.asked?.path], [folder, preview, 'a/b']);
  const steps = [deep];
  for (let at = 0; at < 3; at += 1) steps.push(apply(/** @type {any} */ (steps.at(-1)), { type: 'back' }));
  assert.deepEqual(steps.map(({ asked, preview: file, folder: place }) => [asked, file, place].filter(Boolean).length), [3, 2, 1, 0]);
});

test('what is refused is said where one is, and forgotten with the next thing that is asked', () => {
  const problem = { trouble: 'busy', status: 507, title: '', detail: 'no room', type: '', retryAfterS: 0 };
  const refused = after({ type: 'browsed', folder }, { type: 'asking', what: 'restore' }, { type: 'refused', problem });
  assert.deepEqual([refused.busy, refused.problem, refused.folder], ['', problem, folder]);
  assert.equal(apply(refused, { type: 'asking', what: 'read' }).problem, null);
  const restored = after({ type: 'ask', asked: { snapshot, path: '' } }, { type: 'asking', what: 'restore' }, { type: 'restored' });
  assert.deepEqual([restored.busy, restored.asked], ['', null]);
});

test('another folder closes the file that was looked at', () => {
  const moved = after({ type: 'browsed', folder }, { type: 'previewed', preview }, { type: 'browsed', folder: { ...folder, path: '' } });
  assert.equal(moved.preview, null);
});

test('paths, lengths and kinds are told as people read them', () => {
  assert.deepEqual(crumbs(''), []);
  assert.deepEqual(crumbs('a/b c'), [{ name: 'a', path: 'a' }, { name: 'b c', path: 'a/b c' }]);
  assert.deepEqual([within({ path: '' }, 'x'), within({ path: 'a/b' }, 'x')], ['x', 'a/b/x']);
  const told = [0, 1, 999, 1000, 9949, 9950, 999_499, 999_500, 5e9, 7e15].map(size);
  assert.deepEqual(told, ['0 bytes', '1 byte', '999 bytes', '1.0 KB', '9.9 KB', '10 KB', '999 KB', '1.0 MB', '5.0 GB', '7000 TB']);
  for (const words of [SNAPSHOT_CAUSES, SNAPSHOT_KINDS]) assert.ok(Object.values(words).every((word) => word.length > 5));
});

test('only pictures that cannot run anything are shown, and only text as text', () => {
  assert.deepEqual(['a.PNG', 'a.b.jpeg', 'x.svg', 'page.html', 'png', 'png.'].map(pictureType), ['image/png', 'image/jpeg', null, null, 'image/png', null]);
  const bytes = new TextEncoder().encode('Grüße');
  assert.equal(textOf(bytes, false), 'Grüße');
  assert.equal(textOf(bytes.slice(0, 3), true), 'Gr', 'a character that is cut in two is left out');
  assert.equal(textOf(bytes.slice(0, 3), false), null);
  assert.equal(textOf(new Uint8Array([65, 0, 66]), false), null);
});
