// What people read on the home page: states, times, problems, addresses.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { desktopAt, desktopUrl } from '../../../web/home/addresses.js';
import { backoffMs } from '../../../web/home/backoff.js';
import { ENTER_WORDS, LINK_WORDS } from '../../../web/home/doors.js';
import { asSentence, linkTrouble, problemOf, sentence, signInSentence } from '../../../web/home/problems.js';
import { qrPath } from '../../../web/home/qr.js';
import { ICONS } from '../../../web/home/view/icons.js';
import { initials, left, offers, since, span, stateSentence, stateTone, stateWord, used, wallpaper } from '../../../web/home/words.js';

const problem = (status, body = {}, retryAfter = null) => problemOf(status, body, retryAfter);

for (const [status, trouble] of [
  [401, 'signed-out'], [403, 'forbidden'], [404, 'missing'], [410, 'missing'], [429, 'slow-down'], [408, 'busy'], [503, 'busy'],
  [502, 'busy'], [400, 'wrong'], [409, 'wrong'], [422, 'wrong'], [500, 'broken'], [301, 'broken'],
]) {
  test(`${status} is ${trouble}`, () => assert.equal(problem(status).trouble, trouble));
}

test('a body that is no problem, and a header that is no number, are not believed', () => {
  for (const body of [null, 'text', 7, [], { title: 5, detail: {} }]) {
    assert.deepEqual([problem(422, body).title, problem(422, body).detail], ['', '']);
  }
  assert.equal(problem(429, {}, '12').retryAfterS, 12);
  assert.equal(problem(429, {}, 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfterS, 5);
  assert.equal(problem(503).retryAfterS, 0);
});

test('the server’s words are used where they say more, as a sentence', () => {
  assert.equal(sentence(problem(422, { detail: 'a password has at least 8 characters' })), 'A password has at least 8 characters.');
  assert.match(sentence(problem(422)), /did not accept/);
  assert.doesNotMatch(sentence(problem(500, { detail: 'stack trace' })), /stack/);
  assert.equal(asSentence(' élan? '), 'Élan?');
  assert.equal(asSentence('`name` must be shorter'), 'Name must be shorter.');
  assert.equal(asSentence(''), '.');
});

test('a wrong sign-in is told from one too many and from a server that is away', () => {
  assert.match(signInSentence(problem(401)), /name or the password is not right/);
  assert.match(signInSentence(problem(429)), /Too many tries/);
  assert.match(signInSentence(problem(403)), /switched off/);
  assert.match(signInSentence(problem(503)), /busy/);
});

for (const [name, given, expected] of [
  ['expired', problem(410, { title: 'Link expired', detail: 'it has expired; ask for another that is not used' }), 'expired'],
  ['revoked', problem(410, { detail: 'this link was revoked' }), 'revoked'],
  ['withdrawn', problem(404, { title: 'Withdrawn' }), 'revoked'],
  ['used up', problem(410, { detail: 'it has been used as often as it may' }), 'used-up'],
  ['by its type', problem(410, { type: 'https://lattice.example/problems/link-expired', detail: 'used or revoked' }), 'expired'],
  ['all reasons of a link', problem(404, { title: 'Link not valid', detail: 'the link is wrong, was used up, has expired or was ended' }), 'unknown'],
  ['all reasons of a sign-in', problem(401, { detail: 'the link is wrong, was used, or has expired; ask for a new one' }), 'unknown'],
  ['several reasons', problem(404, { detail: 'it has expired, was revoked or is used up' }), 'unknown'],
  ['no reason', problem(404), 'unknown'],
  ['no cookie', problem(401), 'unknown'],
  ['too often', problem(429), 'slow-down'],
  ['restarting', problem(503), 'away'],
  ['broken', problem(500), 'away'],
  ['other origin', problem(403, { detail: 'pages of http://a only' }), 'refused'],
]) {
  test(`a link that opens nothing: ${name}`, () => assert.equal(linkTrouble(given), expected));
}

test('every reason has its words and an icon that there is', () => {
  for (const words of [...Object.values(LINK_WORDS), ...Object.values(ENTER_WORDS)]) {
    assert.ok(words.icon in ICONS, words.icon);
    assert.ok(words.title && words.text);
  }
});

test('every state has a word, a tone with its icon, and what can be done', () => {
  for (const state of ['requested', 'queued', 'starting', 'running', 'idle', 'stopping', 'stopped', 'failed', 'of a newer server']) {
    assert.ok(stateWord(state).length > 3, state);
    assert.ok(`state-${stateTone(state)}` in ICONS, state);
  }
  assert.deepEqual(offers('running'), { open: true, start: false, stop: true, pause: true, reset: true });
  assert.deepEqual(offers('stopped'), { open: false, start: true, stop: false, pause: false, reset: true });
  assert.deepEqual(offers('failed'), { open: false, start: true, stop: false, pause: false, reset: true });
  assert.deepEqual(offers('starting'), { open: false, start: false, stop: true, pause: false, reset: false });
  assert.deepEqual(offers('stopping'), { open: false, start: false, stop: false, pause: false, reset: false });
});

test('a desktop that waits says where it stands in line', () => {
  const said = (queue) => stateSentence({ state: 'queued', queue });
  assert.equal(said({ position: 3, eta_s: 120 }), 'Waiting for a place: 3rd in line, about 2 minutes');
  assert.equal(said({ position: 1, eta_s: null }), 'Waiting for a place: 1st in line');
  assert.equal(said(null), 'Waiting for a place');
  assert.equal(stateSentence({ state: 'idle', queue: null }), 'Paused');
});

test('times are said in their largest unit', () => {
  assert.deepEqual([30, 60, 3599, 7200, 86_400, 172_800].map(span), ['less than a minute', '1 minute', '1 hour', '2 hours', '1 day', '2 days']);
  const now = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(left('2026-01-01T01:00:00Z', now), '1 hour left');
  assert.equal(left('2025-01-01T01:00:00Z', now), 'has expired');
  assert.equal(left('nonsense', now), '');
  assert.equal(since('2025-12-31T23:59:30Z', now), 'just now');
  assert.equal(since('2025-12-30T00:00:00Z', now), '2 days ago');
  assert.equal(since('', now), '');
});

test('uses are counted', () => {
  assert.equal(used({ uses: 1, max_uses: null }), 'used 1 time');
  assert.equal(used({ uses: 0, max_uses: 1 }), 'used 0 of 1 time');
});

test('people have initials, whatever they are called', () => {
  for (const [name, expected] of [['Ada Lovelace', 'AL'], ['sam', 'S'], ['anna.maria', 'AM'], ['  ', '?'], ['😀 smile', '😀S'], ['Ørsted', 'Ø']]) {
    assert.equal(initials(name), expected, name);
  }
});

test('a desktop keeps its wallpaper', () => {
  assert.equal(wallpaper('abc'), wallpaper('abc'));
  assert.equal(new Set(Array.from({ length: 40 }, (_, at) => wallpaper(`desk${at}`))).size, 4);
});

test('waits double, have a bound, and differ by chance', () => {
  assert.deepEqual([1, 2, 3, 4].map((failures) => backoffMs(failures, 1)), [1000, 2000, 4000, 8000]);
  assert.equal(backoffMs(50, 1), 30_000);
  assert.equal(backoffMs(3, 0), 2000);
});

test('nothing but a desktop of this server is gone to', () => {
  const base = 'https://desk.example/';
  assert.equal(desktopAt(base, '/d/abc234'), 'https://desk.example/d/abc234');
  assert.equal(desktopAt('https://desk.example/sub/', '/sub/d/abc234'), 'https://desk.example/sub/d/abc234');
  assert.equal(desktopAt(base, 'https://evil.example/d/abc'), 'https://desk.example/d/abc');
  for (const bad of ['javascript:alert(1)', '/x/abc', '/d/', '/d/a/b', '/d/..', '', null, 7, undefined]) assert.equal(desktopAt(base, bad), null, String(bad));
  assert.equal(desktopUrl(base, 'a/b'), 'https://desk.example/d/a%2Fb');
});

test('a QR code’s path covers its dark squares and leaves the margin light', () => {
  const { size, path } = qrPath('https://desk.example/s/abcdefghijklmnopqrstuvwxyz');
  const squares = [...path.matchAll(/M(\d+) (\d+)h(\d+)v1h-(\d+)z/g)].map((found) => found.slice(1).map(Number));
  assert.equal(squares.map(([x, y, length, back]) => `M${x} ${y}h${length}v1h-${back}z`).join(''), path, 'nothing else is in it');
  for (const [x, y, length] of squares) assert.ok(x >= 4 && y >= 4 && y < size - 4 && x + length <= size - 4, `${x} ${y} ${length}`);
  // The top edge of a finder pattern, and the light line around its middle.
  assert.ok(squares.some(([x, y, length]) => x === 4 && y === 4 && length === 7));
  assert.ok(squares.some(([x, y, length]) => x === 4 && y === 5 && length === 1));
});
