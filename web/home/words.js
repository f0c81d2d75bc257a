/** What things are called, and how long is left of them. Pure. */

import { place } from '../client/line.js';

/** @import { LinkRole, Session, SessionState, Standing } from './types.js' */

/** @typedef {'good' | 'busy' | 'still' | 'stop'} Tone */

/** @type {Readonly<Record<SessionState, { word: string, tone: Tone }>>} */
const STATES = {
  requested: { word: 'Starting', tone: 'busy' },
  queued: { word: 'Waiting for a place', tone: 'busy' },
  starting: { word: 'Starting', tone: 'busy' },
  running: { word: 'Running', tone: 'good' },
  idle: { word: 'Paused', tone: 'good' },
  stopping: { word: 'Stopping', tone: 'busy' },
  stopped: { word: 'Stopped', tone: 'still' },
  failed: { word: 'Could not start', tone: 'stop' },
};
/** For states that a newer server may have. */
const UNKNOWN = Object.freeze({ word: 'Changing', tone: /** @type {Tone} */ ('busy') });

/** @param {SessionState} state */
const described = (state) => STATES[state] ?? UNKNOWN;

/** @param {SessionState} state */
export const stateWord = (state) => described(state).word;

/** The same with its place in line, where it waits. @param {Pick<Session, 'state' | 'queue'>} session */
export const stateSentence = ({ state, queue }) => (
  queue ? `${stateWord(state)}: ${place({ position: queue.position, etaS: queue.eta_s })}` : stateWord(state));

/** @param {SessionState} state */
export const stateTone = (state) => described(state).tone;

/** What a person can do with a desktop as it is. @param {SessionState} state */
export function offers(state) {
  const isUp = state === 'running' || state === 'idle';
  const isRest = state === 'stopped' || state === 'failed';
  return {
    open: isUp, start: isRest, stop: !isRest && state !== 'stopping',
    pause: state === 'running', reset: isUp || isRest,
  };
}

/** @type {Readonly<Record<LinkRole, { title: string, text: string }>>} */
export const LINK_ROLES = {
  view: { title: 'View', text: 'Sees the desktop and touches nothing.' },
  assist: { title: 'Assist', text: 'Sees the desktop and points at things.' },
  control: { title: 'Control', text: 'Can also work in it, when control is handed over.' },
};

/** @type {Readonly<Record<Standing, string>>} */
const STANDINGS = {
  owner: 'Owner', admin: 'Administrator', view: 'You can watch', assist: 'You can point', control: 'You can take control',
};

/** What somebody is to a desktop, said to them. @param {Standing} role */
export const standing = (role) => STANDINGS[role] ?? '';

/** @import { SnapshotCause, SnapshotKind } from './kept.js' */

/** @type {Readonly<Record<SnapshotKind, string>>} */
export const SNAPSHOT_KINDS = {
  btrfs: 'The disk itself keeps it, all of it at the same instant.',
  repository: 'It is copied, and the desktop stands still for a moment meanwhile.',
};

/** @type {Readonly<Record<SnapshotCause, string>>} */
export const SNAPSHOT_CAUSES = {
  schedule: 'By itself', asked: 'Asked for', reset: 'Before a reset', restore: 'Before a restore',
};

/** @param {number} count @param {string} one @param {string} many */
export const counted = (count, one, many) => `${count} ${count === 1 ? one : many}`;

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span in its largest unit, rounded. @param {number} seconds */
export function span(seconds) {
  if (seconds < MINUTE) return 'less than a minute';
  if (Math.round(seconds / MINUTE) < 60) return counted(Math.round(seconds / MINUTE), 'minute', 'minutes');
  if (Math.round(seconds / HOUR) < 24) return counted(Math.round(seconds / HOUR), 'hour', 'hours');
  return counted(Math.round(seconds / DAY), 'day', 'days');
}

/** How long a link still works. @param {string} expiresAt RFC 3339 @param {number} now ms */
export function left(expiresAt, now) {
  const seconds = (Date.parse(expiresAt) - now) / 1000;
  if (Number.isNaN(seconds)) return '';
  return seconds <= 0 ? 'has expired' : `${span(seconds)} left`;
}

/** When something was made. @param {string} at RFC 3339 @param {number} now ms */
export function since(at, now) {
  const seconds = (now - Date.parse(at)) / 1000;
  if (Number.isNaN(seconds)) return '';
  return seconds < MINUTE ? 'just now' : `${span(seconds)} ago`;
}

/** @param {{ uses: number, max_uses: number | null }} link */
export const used = ({ uses, max_uses: most }) => (
  most === null ? `used ${counted(uses, 'time', 'times')}` : `used ${uses} of ${counted(most, 'time', 'times')}`);

/** Two letters that stand for a person. @param {string} name */
export function initials(name) {
  const words = name.trim().split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0] ?? '?'];
  return letters.map((word) => [...(word ?? '')][0] ?? '').join('').toUpperCase();
}

const WALLPAPERS = 4;

/** The same for a desktop wherever it is shown, so that people know theirs by it. @param {string} id */
export const wallpaper = (id) => [...id].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973, 7) % WALLPAPERS;
