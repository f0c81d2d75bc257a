// The home page's state: what each event leads to, without a page.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, called, initial, mine, sessionOf, shared } from '../../../web/home/state.js';
import { AWAY, problemOf } from '../../../web/home/problems.js';

const ADA = { id: '1', name: 'ada', display_name: 'Ada Lovelace', role: 'admin', has_password: true };
const SAM = { id: '2', name: 'sam', display_name: '', role: 'member', has_password: false };
const LINK = { id: 'l1', role: 'view', expires_at: '2026-01-02T00:00:00Z', max_uses: null, uses: 0, created_at: '2026-01-01T00:00:00Z' };
const QUIET = { busy: false, problem: null };

const desk = (id, more = {}) => ({
  id, name: `Desk ${id}`, template: 'desktop', owner: ADA, state: 'running', reason: null, created_at: '2026-01-01T00:00:00Z',
  url: `/d/${id}`, role: 'owner', viewers: 0, ...more,
});
const run = (events, from = initial()) => events.reduce(apply, from);
const IN = { type: 'signed-in', me: ADA };
const signedIn = (...events) => run([IN, ...events]);
const sharing = (session, ...events) => signedIn(
  { type: 'open', dialog: { kind: 'share', session, made: null, links: null, viewers: null, ...QUIET } }, ...events);

test('it begins with a question and goes by the answer', () => {
  assert.equal(initial().phase, 'checking');
  assert.equal(signedIn().phase, 'in');
  assert.equal(run([{ type: 'signed-out', guest: null }]).phase, 'out');
  const away = run([{ type: 'away', problem: AWAY }]);
  assert.equal(away.phase, 'away');
  assert.equal(run([{ type: 'asked' }], away).phase, 'checking');
});

test('asking again does not hide what is there', () => {
  assert.equal(signedIn({ type: 'asked' }).phase, 'in');
});

test('what is known of the server outlasts signing out, and an update that was put off is not shown again', () => {
  const told = signedIn({ type: 'update', release: 'bb' }, { type: 'update-put-off' }, { type: 'signed-out', guest: null });
  assert.deepEqual([told.update, told.putOff], ['bb', 'bb']);
  assert.notEqual(run([{ type: 'update', release: 'cc' }], told).update, told.putOff, 'the next one is');
});

test('signing out forgets everything of the person', () => {
  const before = signedIn({ type: 'sessions', sessions: [desk('a')] }, { type: 'users', users: [ADA] },
    { type: 'open', dialog: { kind: 'invited', name: 'x', url: 'secret', ...QUIET } }, { type: 'acting', id: 'a' });
  const after = run([{ type: 'signed-out', guest: null }], before);
  assert.deepEqual(after, { ...initial(), phase: 'out', said: 'You are signed out.' });
});

test('who asks again after signing out is still told that they did', () => {
  const out = { type: 'signed-out', guest: null };
  assert.equal(signedIn(out, out).said, 'You are signed out.');
  assert.equal(run([out]).said, '');
});

test('tabs of administrators are not for others', () => {
  assert.equal(run([{ type: 'signed-in', me: SAM }], initial('people')).tab, 'mine');
  assert.equal(run([IN], initial('people')).tab, 'people');
  assert.equal(run([{ type: 'signed-in', me: SAM }, { type: 'tab', tab: 'all' }]).tab, 'mine');
  assert.equal(signedIn({ type: 'tab', tab: 'all' }).tab, 'all');
});

test('a refused sign-in says until when to wait', () => {
  const problem = problemOf(429, {}, '7');
  const { signIn } = run([{ type: 'signing-in' }, { type: 'sign-in-failed', problem, now: 1000 }]);
  assert.deepEqual(signIn, { busy: false, problem, retryAt: 8000 });
  assert.equal(run([{ type: 'signing-in' }]).signIn.busy, true);
});

test('desktops are the newest first, and each stands where it belongs', () => {
  const model = signedIn({ type: 'sessions', sessions: [
    desk('a'), desk('b', { created_at: '2026-02-01T00:00:00Z' }), desk('c', { role: 'view' }), desk('d', { role: 'admin' }), desk('e', { role: 'control' }),
  ] });
  assert.deepEqual(mine(model).map(({ id }) => id), ['b', 'a']);
  assert.deepEqual(shared(model).map(({ id }) => id), ['c', 'e']);
  assert.equal(sessionOf(model, 'd')?.role, 'admin');
  assert.equal(sessionOf(model, 'none'), null);
});

test('a change replaces, adds, and is told to those who do not look', () => {
  const model = signedIn({ type: 'sessions', sessions: [desk('a', { state: 'starting' })] }, { type: 'session', session: desk('a') });
  assert.equal(model.sessions.items.length, 1);
  assert.equal(model.said, 'Desk a: Running');
  const more = run([{ type: 'session', session: desk('b', { state: 'requested' }) }], model);
  assert.equal(more.sessions.items.length, 2);
  assert.equal(more.said, 'Desk a: Running', 'what was not there before is no news');
  assert.equal(run([{ type: 'session', session: desk('a', { viewers: 3 }) }], model).said, model.said);
});

test('what is gone takes its dialog with it', () => {
  const model = sharing('a', { type: 'sessions', sessions: [desk('a'), desk('b')] });
  assert.equal(run([{ type: 'gone', id: 'b' }], model).dialog?.kind, 'share');
  const after = run([{ type: 'gone', id: 'a' }], model);
  assert.equal(after.dialog, null);
  assert.deepEqual(mine(after).map(({ id }) => id), ['b']);
});

test('a list that could not be read again keeps what was read', () => {
  const model = signedIn({ type: 'sessions', sessions: [desk('a')] }, { type: 'sessions-failed', problem: AWAY });
  assert.equal(model.sessions.items.length, 1);
  assert.equal(model.sessions.problem, AWAY);
  assert.equal(run([{ type: 'sessions', sessions: [] }], model).sessions.problem, null);
});

test('answers about a dialog that is closed, or of another desktop, change nothing', () => {
  for (const event of [
    { type: 'links', session: 'b', links: [LINK] }, { type: 'link-made', session: 'b', link: LINK },
    { type: 'viewers', session: 'b', viewers: [] }, { type: 'refused', kind: 'password', problem: AWAY },
  ]) assert.deepEqual(sharing('a', event), sharing('a'), event.type);
  assert.equal(signedIn({ type: 'links', session: 'a', links: [LINK] }).dialog, null);
  assert.equal(signedIn({ type: 'asking' }).dialog, null);
});

test('a made link is shown and listed, and a revoked one is neither', () => {
  const made = { ...LINK, url: 'https://desk.example/s/secret' };
  const model = sharing('a', { type: 'links', session: 'a', links: [] }, { type: 'asking' }, { type: 'link-made', session: 'a', link: made });
  assert.deepEqual([model.dialog.made, model.dialog.links.length, model.dialog.busy], [made, 1, false]);
  const after = run([{ type: 'link-gone', session: 'a', id: 'l1' }], model);
  assert.deepEqual([after.dialog.made, after.dialog.links], [null, []]);
});

test('a refusal frees the dialog and says why', () => {
  const problem = problemOf(422, { detail: 'no' }, null);
  const { dialog } = sharing('a', { type: 'asking' }, { type: 'refused', kind: 'share', problem });
  assert.deepEqual([dialog.busy, dialog.problem], [false, problem]);
});

test('people are in the order of what they are called', () => {
  const model = signedIn({ type: 'users', users: [SAM, ADA] });
  assert.deepEqual(model.users.items.map(called), ['Ada Lovelace', 'sam']);
  const off = run([{ type: 'user', user: { ...SAM, disabled: true } }], model);
  assert.deepEqual(off.users.items.map(({ disabled }) => disabled ?? false), [false, true]);
  assert.equal(run([{ type: 'user-gone', id: '2' }], model).users.items.length, 1);
});

test('what is awaited is counted by thing', () => {
  const model = signedIn({ type: 'acting', id: 'a' }, { type: 'acting', id: 'b' }, { type: 'acted', id: 'a' });
  assert.deepEqual([...model.acting], ['b']);
});

test('a toast is taken away by its own number only', () => {
  const one = signedIn({ type: 'toast', text: 'One' });
  const two = run([{ type: 'toast', text: 'Two' }], one);
  assert.equal(run([{ type: 'toast-over', id: one.toast.id }], two).toast.text, 'Two');
  assert.equal(run([{ type: 'toast-over', id: two.toast.id }], two).toast, null);
  assert.equal(two.said, 'Two');
});

test('a password that was set is known', () => {
  assert.equal(run([{ type: 'signed-in', me: SAM }, { type: 'password-set' }]).me.has_password, true);
});
