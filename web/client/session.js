/**
 * The connection as a pure state machine: `apply(session, event)` returns the next session and what
 * to do. It reads no clock and draws no random numbers; both come with the event.
 *
 * What a person sees is `phase` and `reason`; where the connection stands is `link`.
 */

import { CLOSE, returnWithin } from '../protocol/close.js';

/**
 * @typedef {'connecting' | 'live' | 'lagging' | 'reconnecting' | 'ended' | 'error'} Phase
 * @typedef {'starting' | 'network' | 'offline' | 'restart' | 'silent' | 'stalled' | 'flood'
 *   | 'protocol' | 'busy' | 'display-lost' | 'desktop-ended' | 'revoked' | 'denied' | 'refused'
 *   | 'missing' | 'full' | 'version' | 'unsupported' | 'crashed' | 'slow' | 'gone'} Reason
 * @typedef {'idle' | 'checking' | 'open' | 'waiting'} Link
 * @typedef {'ok' | 'denied' | 'refused' | 'missing' | 'busy' | 'unreachable'} CheckResult
 * @typedef {{ phase: Phase, reason: Reason, detail: string, link: Link, attempt: number,
 *   retryAt: number, liveSince: number, awaySince: number | null }} Session `awaySince`: when the
 *   server was first not reached, of the attempts since it last was
 *
 * @typedef {{ type: 'start' }
 *   | { type: 'checked', result: CheckResult, detail: string }
 *   | { type: 'painted' }
 *   | { type: 'lagging', slow: boolean }
 *   | { type: 'display', state: 'live' | 'lost' | 'ended', detail: string }
 *   | { type: 'closed', code: number, reason: string }
 *   | { type: 'silent' }
 *   | { type: 'due' }
 *   | { type: 'retry' }
 *   | { type: 'woke' }
 *   | { type: 'offline' }
 *   | { type: 'unsupported' | 'crashed', detail: string }} Event `due`: the wait is over; `retry`: a person asks
 *   for it; `woke`: the network or the page came back
 * @typedef {Event & { now: number, random: number }} TimedEvent `now` in ms, `random` from 0 to 1
 *
 * @typedef {{ type: 'check' } | { type: 'connect' } | { type: 'disconnect' }
 *   | { type: 'wait', delayMs: number }} Effect
 */

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 8000;
/** A server that was not reached for this long has perhaps been ended, and is asked for less often. */
const GONE_AFTER_MS = 60000;
const GONE_DELAY_MS = 32000;
/** A connection that lived this long was good: the next loss starts from the shortest delay. */
const GOOD_AFTER_MS = 5000;

/** @returns {Session} */
export function initial() {
  return {
    phase: 'connecting', reason: 'starting', detail: '', link: 'idle', attempt: 0, retryAt: 0,
    liveSince: 0, awaySince: null,
  };
}

/**
 * How long to wait before an attempt: doubled each time, spread over half of itself so that a class
 * of viewers does not come back in one instant.
 * @param {number} attempt from 0
 * @param {number} random from 0 to 1
 * @param {number} atMostMs
 */
export function backoffMs(attempt, random, atMostMs = LONGEST_DELAY_MS) {
  const longest = Math.min(FIRST_DELAY_MS * 2 ** attempt, atMostMs);
  return Math.round(longest * (0.5 + random / 2));
}

/**
 * @param {Session} session
 * @param {TimedEvent} event
 * @returns {[Session, Effect[]]}
 */
export function apply(session, event) {
  switch (event.type) {
    case 'start': return check({ ...initial() });
    case 'checked': return session.link === 'checking' ? checked(session, event) : [session, []];
    case 'painted': return painted(session, event.now);
    case 'lagging': return lagging(session, event.slow);
    case 'display': return display(session, event);
    case 'closed': return session.link === 'open' ? closed(session, event) : [session, []];
    case 'silent': return session.link === 'open' ? retryLater(session, 'silent', event) : [session, []];
    case 'due': return session.link === 'waiting' ? check(session) : [session, []];
    case 'retry': return isOver(session) || session.link === 'waiting' ? again(session) : [session, []];
    case 'woke': return session.link === 'waiting' ? again(session) : [session, []];
    case 'offline': return session.link === 'open' ? retryLater(session, 'offline', event) : [session, []];
    case 'unsupported': case 'crashed': return over(session, 'error', event.type, event.detail);
  }
}

/** @param {Session} session */
const isOver = (session) => session.phase === 'ended' || session.phase === 'error';

/** @param {Session} session @returns {[Session, Effect[]]} */
function check(session) {
  return [{ ...session, link: 'checking', retryAt: 0 }, [{ type: 'check' }]];
}

/** @param {Session} session @returns {[Session, Effect[]]} */
function again(session) {
  return check({ ...session, phase: isOver(session) ? 'connecting' : session.phase, attempt: 0 });
}

/**
 * @param {Session} session
 * @param {TimedEvent & { type: 'checked' }} event
 * @returns {[Session, Effect[]]}
 */
function checked(session, event) {
  switch (event.result) {
    case 'ok': return [{ ...session, link: 'open', awaySince: null }, [{ type: 'connect' }]];
    case 'denied': return over(session, 'error', 'denied', '');
    case 'refused': return over(session, 'error', 'refused', event.detail);
    case 'missing': return over(session, 'error', 'missing', '');
    case 'busy': return retryLater({ ...session, awaySince: null }, 'busy', event);
    case 'unreachable': return unreachable(session, event);
  }
}

/**
 * What was said when the connection ended stays true for a while, but not for ever.
 * @param {Session} session @param {TimedEvent} event @returns {[Session, Effect[]]}
 */
function unreachable(session, event) {
  const awaySince = session.awaySince ?? event.now;
  const isGone = event.now - awaySince >= GONE_AFTER_MS;
  const reason = session.reason === 'restart' || session.reason === 'offline' ? session.reason : 'network';
  return retryLater({ ...session, awaySince }, isGone ? 'gone' : reason, event);
}

/** @param {Session} session @param {number} now @returns {[Session, Effect[]]} */
function painted(session, now) {
  if (session.link !== 'open' || session.phase === 'live' || session.phase === 'lagging') {
    return [session, []];
  }
  return [{ ...session, phase: 'live', reason: 'starting', detail: '', liveSince: now }, []];
}

/** @param {Session} session @param {boolean} slow @returns {[Session, Effect[]]} */
function lagging(session, slow) {
  if (slow && session.phase === 'live') return [{ ...session, phase: 'lagging', reason: 'slow' }, []];
  if (!slow && session.phase === 'lagging') return [{ ...session, phase: 'live' }, []];
  return [session, []];
}

/**
 * @param {Session} session
 * @param {TimedEvent & { type: 'display' }} event
 * @returns {[Session, Effect[]]}
 */
function display(session, event) {
  if (session.link !== 'open') return [session, []];
  switch (event.state) {
    // The next keyframe makes it live; until then what was said stays true.
    case 'live': return [session, []];
    case 'lost':
      return [{ ...session, phase: 'reconnecting', reason: 'display-lost', detail: event.detail }, []];
    case 'ended': return over(session, 'ended', 'desktop-ended', event.detail);
  }
}

/**
 * @param {Session} session
 * @param {TimedEvent & { type: 'closed' }} event
 * @returns {[Session, Effect[]]}
 */
function closed(session, event) {
  switch (event.code) {
    case CLOSE.REVOKED: return over(session, 'ended', 'revoked', '');
    case CLOSE.ENDED: return over(session, 'ended', 'desktop-ended', session.detail);
    case CLOSE.FULL: return over(session, 'error', 'full', '');
    case CLOSE.VERSION: return over(session, 'error', 'version', '');
    case CLOSE.RESTART: return restarting({ ...session, attempt: 0, liveSince: 0 }, event);
    case CLOSE.SILENT: return retryLater(session, 'silent', event);
    case CLOSE.STALLED: return retryLater(session, 'stalled', event);
    case CLOSE.FLOOD: return retryLater(session, 'flood', event);
    case CLOSE.PROTOCOL: return retryLater(session, 'protocol', event);
    default: return retryLater(session, 'network', event);
  }
}

/**
 * The server names the time over which its viewers are to spread: it knows how many they are.
 * @param {Session} session
 * @param {TimedEvent & { type: 'closed' }} event
 * @returns {[Session, Effect[]]}
 */
function restarting(session, event) {
  const withinMs = Math.min(returnWithin(event.reason), LONGEST_DELAY_MS);
  return wait(session, 'restart', event, Math.max(backoffMs(0, event.random), withinMs * event.random));
}

/**
 * @param {Session} session
 * @param {'ended' | 'error'} phase
 * @param {Reason} reason
 * @param {string} detail
 * @returns {[Session, Effect[]]}
 */
function over(session, phase, reason, detail) {
  return [{ ...session, phase, reason, detail, link: 'idle', attempt: 0, liveSince: 0, awaySince: null }, [{ type: 'disconnect' }]];
}

/**
 * @param {Session} session
 * @param {Reason} reason
 * @param {{ now: number, random: number }} event
 * @returns {[Session, Effect[]]}
 */
function retryLater(session, reason, event) {
  const { now, random } = event;
  const wasGood = session.liveSince > 0 && now - session.liveSince >= GOOD_AFTER_MS;
  const attempt = wasGood ? 0 : session.attempt;
  const delayMs = backoffMs(attempt, random, reason === 'gone' ? GONE_DELAY_MS : LONGEST_DELAY_MS);
  return wait({ ...session, attempt }, reason, event, delayMs);
}

/**
 * @param {Session} session
 * @param {Reason} reason
 * @param {{ now: number }} event
 * @param {number} delayMs
 * @returns {[Session, Effect[]]}
 */
function wait(session, reason, { now }, delayMs) {
  /** @type {Session} */
  const next = {
    phase: 'reconnecting', reason, detail: '', link: 'waiting', attempt: session.attempt + 1,
    retryAt: now + delayMs, liveSince: 0, awaySince: session.awaySince,
  };
  return [next, [{ type: 'disconnect' }, { type: 'wait', delayMs }]];
}
