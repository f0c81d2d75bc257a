// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginnings } from '../../../web/home/begin.js';
import { problemOf } from '../../../web/home/problems.js';
import { apply, initial } from '../../../web/home/state.js';

/** A page over answers that are given in order. @param {Record<string, any[]>} answers */
function page(answers) {
  let model = initial();
  /** @type {any[]} */
  const asked = [];
  /** @param {any} event */
  const dispatch = (event) => { model = apply(model, event); };
  /** @type {any} */
  const api = {
    ask(/** @type {string} */ method, /** @type {string} */ path, /** @type {object} */ body) {
      asked.push([method, path, body]);
      return Promise.resolve(answers[path]?.shift() ?? { ok: false, problem: problemOf(500, null, null) });
    },
    send(/** @type {string} */ path, /** @type {Blob} */ file, /** @type {(sent: number) => void} */ onSent) {
      asked.push(['SEND', path]);
      onSent(file.size);
      return Promise.resolve(answers[path]?.shift());
    },
  };
  /** @type {string[]} */
  const said = [];
  const own = beginnings({
    api, model: () => model, dispatch, say: (text) => said.push(text), complain: () => said.push('complaint'),
    taken: (answer, refuse) => (answer.ok ? { value: answer.value } : (refuse(answer.problem), null)),
    started: (session) => dispatch({ type: 'session', session }),
  });
  const openIt = (/** @type {string} */ origin) => dispatch({ type: 'open', dialog: { kind: 'new', busy: false, problem: null, origin, step: '', sent: 0, total: 0, made: null } });
  return { ...own, asked, said, openIt, get dialog() { return /** @type {any} */ (model.dialog); } };
}

const wanted = { template: 'desktop', name: '', url: 'https://git.example/ada/shop.git', file: null };
const good = (/** @type {any} */ value) => ({ ok: true, value });
const session = { id: 'a', name: 'shop', state: 'requested', created_at: '2026-01-01T00:00:00Z' };

test('files come first, then the desktop that is called after them', async () => {
  const home = page({ 'imports/git': [good({ folder: 'shop', files: 1, bytes: 2 })], sessions: [good(session)] });
  home.openIt('git');
  await home.begin(wanted);
  assert.deepEqual(home.asked, [['POST', 'imports/git', { url: wanted.url }], ['POST', 'sessions', { template: 'desktop', name: 'shop' }]]);
  assert.equal(home.dialog, null);
  assert.deepEqual(home.said, ['The files are in Data, in the folder shop']);
});

test('where only the desktop fails, the files are not fetched a second time', async () => {
  const problem = problemOf(409, { detail: 'there are as many as may be' }, null);
  const home = page({ 'imports/git': [good({ folder: 'shop', files: 1, bytes: 2 })], sessions: [{ ok: false, problem }, good(session)] });
  home.openIt('git');
  await home.begin(wanted);
  assert.deepEqual([home.dialog.made.folder, home.dialog.problem, home.dialog.busy, home.dialog.step], ['shop', problem, false, '']);
  await home.begin(wanted);
  assert.equal(home.asked.filter(([, path]) => path === 'imports/git').length, 1);
  assert.equal(home.dialog, null);
});

test('what is too large is not sent, and no desktop starts without its files', async () => {
  const home = page({});
  home.openIt('zip');
  const file = /** @type {any} */ ({ name: 'film.zip', size: 300 * 1024 * 1024, lastModified: 1 });
  await home.begin({ ...wanted, file });
  assert.deepEqual(home.asked, []);
  assert.match(home.dialog.problem.detail, /larger than 256 MB/);
});

test('what was left off changes nothing when its answer comes', async () => {
  const home = page({ 'imports/zip?name=shop.zip': [good({ folder: 'shop', files: 1, bytes: 2 })] });
  home.openIt('zip');
  const begun = home.begin({ ...wanted, file: /** @type {any} */ ({ name: 'shop.zip', size: 10, lastModified: 1 }) });
  home.stopBeginning();
  await begun;
  assert.deepEqual([home.dialog.busy, home.dialog.made, home.dialog.step], [false, null, '']);
  assert.equal(home.asked.length, 1, 'no desktop was asked for');
});
