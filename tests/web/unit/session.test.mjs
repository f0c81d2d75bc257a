// The connection's states: what each event leads to, without a clock.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, backoffMs, initial } from '../../../web/client/session.js';

/** Runs events through the machine; the last session and the effects of the last event. */
function run(events, from = initial()) {
  let [session, effects] = [from, []];
  for (const event of events) [session, effects] = apply(session, { now: 0, random: 1, ...event });
  return { session, effects: effects.map(({ type }) => type), delay: effects.find(({ type }) => type === 'wait')?.delayMs };
}

const START = { type: 'start' };
const OK = { type: 'checked', result: 'ok' };
const PAINTED = { type: 'painted' };
const DUE = { type: 'due' };
const closed = (code, now = 0, reason = '') => ({ type: 'closed', code, reason, now });
const LIVE = [START, OK, PAINTED];

function check(events, phase, reason, effects) {
  const { session, effects: done } = run(events);
  assert.equal(session.phase, phase);
  if (reason) assert.equal(session.reason, reason);
  if (effects) assert.deepEqual(done, effects);
}

test('it asks before it connects, and is live only once a picture was painted', () => {
  check([START], 'connecting', 'starting', ['check']);
  check([START, OK], 'connecting', 'starting', ['connect']);
  check(LIVE, 'live');
});

test('what the check says decides', () => {
  check([START, { type: 'checked', result: 'denied' }], 'error', 'denied');
  check([START, { type: 'checked', result: 'missing' }], 'error', 'missing');
  const refused = [START, { type: 'checked', result: 'refused', detail: 'another origin' }];
  check(refused, 'error', 'refused', ['disconnect']);
  assert.equal(run(refused).session.detail, 'another origin');
  check([START, { type: 'checked', result: 'busy' }], 'reconnecting', 'busy', ['disconnect', 'wait']);
  check([START, { type: 'checked', result: 'unreachable' }], 'reconnecting', 'network', ['disconnect', 'wait']);
});

for (const [code, phase, reason] of [
  [1012, 'reconnecting', 'restart'], [4000, 'reconnecting', 'protocol'], [4001, 'reconnecting', 'silent'],
  [4002, 'error', 'version'], [4003, 'ended', 'revoked'], [4008, 'reconnecting', 'stalled'],
  [4013, 'error', 'full'], [4029, 'reconnecting', 'flood'], [4100, 'ended', 'desktop-ended'],
  [1006, 'reconnecting', 'network'],
]) {
  test(`close code ${code} leads to ${phase}: ${reason}`, () => check([...LIVE, closed(code)], phase, reason));
}

test('waiting times double from a quarter second to eight, spread over half of themselves', () => {
  assert.deepEqual([0, 1, 2, 5, 9].map((attempt) => backoffMs(attempt, 1)), [250, 500, 1000, 8000, 8000]);
  assert.equal(backoffMs(0, 0), 125);
  assert.equal(backoffMs(9, 0), 4000);
});

test('a connection that fails at once again and again is asked for less and less often', () => {
  const failures = [START];
  const delays = [];
  for (let round = 0; round < 4; round += 1) {
    failures.push(OK, PAINTED, closed(4000));
    delays.push(run(failures).delay);
    failures.push(DUE);
  }
  assert.deepEqual(delays, [250, 500, 1000, 2000]);
});

test('after a good connection, after a restart and when a person asks, waiting starts small', () => {
  const bad = [START, OK, closed(1006), DUE, OK, closed(1006), DUE, OK];
  assert.equal(run([...bad, closed(1006)]).delay, 1000);
  assert.equal(run([...bad, { ...PAINTED, now: 1000 }, closed(1006, 6000)]).delay, 250);
  assert.equal(run([...bad, closed(1012)]).delay, 250);
  assert.equal(run([...bad, closed(1006), { type: 'retry' }, OK, closed(1006)]).delay, 250);
});

test('after a restart viewers spread over the time that the server names', () => {
  const delay = (/** @type {string} */ reason, /** @type {number} */ random) => (
    run([...LIVE, { ...closed(1012, 0, reason), random }]).delay);
  const named = 'restarting; come back within 2000 ms';
  assert.deepEqual([0, 0.5, 1].map((random) => delay(named, random)), [125, 1000, 2000]);
  assert.equal(delay('restarting; come back within 900000 ms', 1), 8000);
  assert.equal(delay('restarting; come back within 0 ms', 1), 250);
  assert.equal(delay('restarting', 1), 250);
});

test('the network coming back ends the wait, and means nothing elsewhere', () => {
  check([...LIVE, closed(1006), { type: 'woke' }], 'reconnecting', 'network', ['check']);
  check([...LIVE, { type: 'woke' }], 'live', undefined, []);
  check([...LIVE, closed(4003), { type: 'woke' }], 'ended', 'revoked', []);
});

test('going offline or silence ends the connection at once', () => {
  check([...LIVE, { type: 'offline' }], 'reconnecting', 'offline', ['disconnect', 'wait']);
  check([...LIVE, { type: 'silent' }], 'reconnecting', 'silent', ['disconnect', 'wait']);
});

test('a lost display says why and is live again with its next whole picture', () => {
  const lost = [...LIVE, { type: 'display', state: 'lost', detail: 'X is gone' }];
  check(lost, 'reconnecting', 'display-lost');
  assert.equal(run(lost).session.detail, 'X is gone');
  check([...lost, { type: 'display', state: 'live', detail: '' }], 'reconnecting', 'display-lost', []);
  check([...lost, { type: 'display', state: 'live', detail: '' }, PAINTED], 'live');
});

test('a desktop that ends is not tried again', () => {
  const ended = [...LIVE, { type: 'display', state: 'ended', detail: '' }];
  check(ended, 'ended', 'desktop-ended', ['disconnect']);
  check([...ended, closed(1006)], 'ended', 'desktop-ended', []);
  check([...ended, DUE], 'ended', 'desktop-ended', []);
});

test('a person may try again after an error', () => {
  check([...LIVE, closed(4013), { type: 'retry' }], 'connecting', undefined, ['check']);
});

test('lagging comes and goes, and only while live', () => {
  check([...LIVE, { type: 'lagging', slow: true }], 'lagging', 'slow');
  check([...LIVE, { type: 'lagging', slow: true }, { type: 'lagging', slow: false }], 'live');
  check([START, { type: 'lagging', slow: true }], 'connecting');
});

test('late answers of a connection that is over change nothing', () => {
  check([...LIVE, closed(1006), PAINTED], 'reconnecting', 'network', []);
  check([...LIVE, closed(1006), OK], 'reconnecting', 'network', []);
  check([...LIVE, closed(1006), closed(1006)], 'reconnecting', 'network', []);
});

test('a page whose worker broke says so, and is over', () => {
  check([...LIVE, { type: 'crashed', detail: 'out of memory' }], 'error', 'crashed', ['disconnect']);
});

/** Attempts that reach nobody, one as soon as the other is due, until `untilMs`. */
function unreached(from, untilMs) {
  let [session, now] = [from, 0];
  const delays = [];
  while (now < untilMs) {
    for (const event of [DUE, { type: 'checked', result: 'unreachable' }]) [session] = apply(session, { now, random: 1, ...event });
    delays.push(session.retryAt - now);
    now = session.retryAt;
  }
  return { session, delays };
}

for (const [end, reason] of [[closed(1012), 'restart'], [closed(1006), 'network'], [{ type: 'offline' }, 'offline']]) {
  test(`${reason}: what was said holds for a minute, then the desktop may be gone and is asked for less often`, () => {
    const { session } = run([...LIVE, end]);
    assert.equal(unreached(session, 45000).session.reason, reason);
    const gone = unreached(session, 180000);
    assert.equal(gone.session.reason, 'gone');
    assert.equal(gone.session.phase, 'reconnecting');
    assert.equal(Math.max(...gone.delays), 32000);
  });
}

test('a person who asks again is told the same until the server answers', () => {
  const gone = unreached(run([...LIVE, closed(1012)]).session, 90000).session;
  const asked = run([{ type: 'retry' }, { type: 'checked', result: 'unreachable' }].map((event) => ({ ...event, now: 91000 })), gone);
  assert.equal(asked.session.reason, 'gone');
  const back = run([{ type: 'retry' }, OK, PAINTED, closed(1006), DUE, { type: 'checked', result: 'unreachable' }]
    .map((event) => ({ ...event, now: 92000 })), gone);
  assert.equal(back.session.reason, 'network');
});
