/** What a person reads when there is no live desktop: what happened, and what can be done. */

import { place } from '../client/line.js';

/** @import { Reason } from '../client/session.js' */
/** @import { Standing } from '../protocol/types.js' */

/**
 * @typedef {{ icon: string, tone: '' | 'warn' | 'stop', title: string, text: string,
 *   action: null | 'retry' | 'reload' | 'home', label: string }} Words
 *   `home`: leads to the page with the person's desktops
 */

/** @param {string} icon @param {Words['tone']} tone @param {string} title @param {string} text @returns {Words} */
const tell = (icon, tone, title, text) => ({ icon, tone, title, text, action: null, label: '' });

/** @param {Words} words @param {'retry' | 'reload' | 'home'} action @param {string} label @returns {Words} */
const offer = (words, action, label) => ({ ...words, action, label });

const AWAY = 'The desktop goes on running meanwhile, and nothing in it is lost.';
const NOW = 'Try now';

/** Of a desktop that is shared by itself: its server has no other page. @type {Readonly<Record<Reason, Words>>} */
const WORDS = {
  starting: tell('signal', '', 'Connecting', 'One moment.'),
  slow: tell('signal', 'warn', 'Slow connection', 'The picture is behind.'),
  network: offer(tell('signal', 'warn', 'The connection was lost', `Reconnecting as soon as the network lets us. ${AWAY}`), 'retry', NOW),
  offline: offer(tell('signal', 'warn', 'You are offline', `This device has no network. ${AWAY}`), 'retry', NOW),
  silent: offer(tell('signal', 'warn', 'The connection went quiet', `Nothing has arrived for a while, so it is being made anew. ${AWAY}`), 'retry', NOW),
  stalled: offer(tell('signal', 'warn', 'The connection was too slow', `The picture could not keep up and starts over. ${AWAY}`), 'retry', NOW),
  restart: offer(tell('update', '', 'Back in a moment', `The server is restarting. ${AWAY}`), 'retry', NOW),
  gone: offer(tell('door', 'warn', 'The desktop has not come back', 'Nothing answers at its address. It may have been ended, or the network to it is down. This page goes on looking for it.'), 'retry', NOW),
  busy: offer(tell('update', 'warn', 'The server is busy', `It cannot answer right now. ${AWAY}`), 'retry', NOW),
  flood: offer(tell('alert', 'warn', 'Disconnected for a moment', 'This page sent more than the server takes at once. It connects again by itself.'), 'retry', NOW),
  protocol: offer(tell('alert', 'warn', 'A message was not understood', `The connection is being made anew. ${AWAY}`), 'retry', NOW),
  'display-lost': tell('screen', 'warn', 'The desktop’s screen stopped', 'Waiting for it to come back. What you see is the last picture.'),
  'desktop-ended': tell('door', '', 'This desktop has ended', 'You can close this page. To go on working, start a desktop again.'),
  revoked: tell('link', 'stop', 'This link has ended', 'It was withdrawn or has expired. Ask whoever shared the desktop for a new one.'),
  denied: tell('link', 'stop', 'This link has ended', 'It is no longer valid, or it was not copied whole. Ask whoever shared the desktop for a new one, and open it complete with everything after the #.'),
  refused: offer(tell('alert', 'warn', 'The server turned this page away', 'Mostly that is a matter of the address: open the desktop by the one that it was shared with.'), 'retry', 'Try again'),
  missing: offer(tell('door', '', 'There is no desktop here', 'It may have ended, or the address may be mistyped.'), 'retry', 'Look again'),
  full: offer(tell('people', 'warn', 'All places are taken', 'This desktop has as many viewers as it may. When somebody leaves, there is room for you.'), 'retry', 'Try again'),
  version: offer(tell('update', '', 'Lattice was updated', 'This page is from an older version. Load it again to go on.'), 'reload', 'Load again'),
  unsupported: tell('alert', 'stop', 'This browser cannot show the desktop', 'Lattice needs a current version of Chrome, Edge, Firefox or Safari.'),
  crashed: offer(tell('alert', 'warn', 'This page has stopped working', `Load it again to go on. ${AWAY}`), 'reload', 'Load again'),
};

/** What is said otherwise where people have desktops and sign in. @type {Readonly<Partial<Record<Reason, Words>>>} */
const AT_HOME = {
  'desktop-ended': offer(tell('door', '', 'This desktop is stopped', 'What is in its files is kept. Start it again from the list of desktops.'), 'home', 'My desktops'),
  revoked: offer(tell('link', 'stop', 'You can no longer see this desktop', 'You were signed out, or whoever shared it has ended that. Sign in again, or ask them for a new link.'), 'home', 'Sign in'),
  denied: offer(tell('door', '', 'Sign in to see this desktop', 'This browser is not signed in, or what was shared with it has ended.'), 'home', 'Sign in'),
  missing: offer(tell('door', '', 'There is no desktop here for you', 'It was deleted, it is not shared with you any more, or the address is mistyped.'), 'home', 'My desktops'),
};

/**
 * What a person reads whose desktop has no picture yet, because it waits or rests.
 * @param {Standing} standing
 * @param {boolean} isDriving whether what this person does reaches the desktop
 * @returns {Words | null}
 */
export function restingWords(standing, isDriving) {
  switch (standing.is) {
    case 'usual': case 'warned': return null;
    case 'paused': return tell('clock', '', 'Paused', isDriving
      ? 'Move the mouse or press a key to go on. Everything is as it was left.'
      : 'It goes on when somebody works here again.');
    case 'queued': return tell('clock', '', 'Waiting for a place', `${place(standing)}. The desktop opens here by itself.`);
  }
}

/** @param {Reason} reason @param {boolean} hasHome @returns {Words} */
export const wordsFor = (reason, hasHome) => (hasHome && AT_HOME[reason]) || WORDS[reason];
