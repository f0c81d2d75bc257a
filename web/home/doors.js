/** What a person reads when a link or a one-time sign-in opens nothing. Pure. */

/** @import { LinkTrouble } from './problems.js' */

/**
 * @typedef {{ icon: keyof typeof import('./view/icons.js').ICONS, tone: '' | 'warn' | 'stop', title: string, text: string }} Words
 * @typedef {LinkTrouble | 'missing'} DoorTrouble `missing`: the page has no secret to ask with
 */

/** @type {Words} */
const AWAY = { icon: 'signal', tone: 'warn', title: 'The server does not answer', text: 'It may be restarting, or the network to it is down. The link is still good.' };
/** @type {Words} */
const SLOW = { icon: 'update', tone: 'warn', title: 'One moment', text: 'There were too many tries from this device. The link is still good.' };

/** @type {Readonly<Record<DoorTrouble, Words>>} */
export const LINK_WORDS = {
  expired: { icon: 'clock', tone: 'warn', title: 'This link has expired', text: 'It worked for a while only. Ask whoever shared the desktop for a new one.' },
  revoked: { icon: 'unlink', tone: 'stop', title: 'This link was withdrawn', text: 'Whoever shared the desktop has ended it. Ask them if you still need it.' },
  'used-up': { icon: 'unlink', tone: 'warn', title: 'This link is used up', text: 'It has been opened as often as it may. Ask whoever shared the desktop for a new one.' },
  unknown: { icon: 'unlink', tone: 'stop', title: 'This link opens nothing', text: 'It was not copied whole, has expired, is used up, or was withdrawn. Ask whoever shared the desktop for a new one.' },
  refused: { icon: 'alert', tone: 'stop', title: 'The server turned this link away', text: 'Open it by the address that it was shared with.' },
  missing: { icon: 'unlink', tone: '', title: 'Open the link again', text: 'For safety this page does not keep it. Go back to where you got it, and open it from there.' },
  'slow-down': SLOW,
  away: AWAY,
};

const ASK = 'Ask an administrator for a new one. On the server itself, lattice admin url prints one.';

/** @type {Readonly<Record<DoorTrouble, Words>>} */
export const ENTER_WORDS = {
  expired: { icon: 'clock', tone: 'warn', title: 'This sign-in has expired', text: `It worked for a while only. ${ASK}` },
  revoked: { icon: 'unlink', tone: 'stop', title: 'This sign-in was withdrawn', text: ASK },
  'used-up': { icon: 'key', tone: 'warn', title: 'This sign-in has been used', text: `It works once. If that was you, sign in with your password; if not, tell an administrator. ${ASK}` },
  unknown: { icon: 'key', tone: 'stop', title: 'This sign-in opens nothing', text: `It was not copied whole, has been used, or has expired. ${ASK}` },
  refused: { icon: 'alert', tone: 'stop', title: 'The server turned this page away', text: 'Open the sign-in by the address that it was given with.' },
  missing: { icon: 'key', tone: '', title: 'Open your sign-in link again', text: 'This address is the page for one-time sign-ins, and nothing came with it. Open the link complete, with everything after the #.' },
  'slow-down': SLOW,
  away: AWAY,
};

/** Why a preview is not opened. @type {Readonly<Record<'signed-out' | 'missing' | 'refused' | 'away', Words>>} */
export const PREVIEW_WORDS = {
  'signed-out': { icon: 'key', tone: '', title: 'Sign in to see this preview', text: 'It shows a program of somebody’s desktop. Sign in here and open it again, or open the link by which it was shared with you once more.' },
  missing: { icon: 'unlink', tone: 'stop', title: 'There is no such preview for you', text: 'The desktop is gone, or nobody has shared it with you. Ask whoever gave you the address.' },
  refused: { icon: 'alert', tone: 'stop', title: 'This preview cannot be opened', text: 'The server says why:' },
  away: { icon: 'signal', tone: 'warn', title: 'The server does not answer', text: 'It may be restarting, or the network to it is down. This page tries again by itself.' },
};
