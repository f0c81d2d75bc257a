/**
 * A share link (`/s/<token>`): its secret is swapped for a cookie by this script, so that programs
 * which only look at addresses use nothing up.
 */

import { base, secret } from './secret-path.js';
import { h, render } from '../vendor/preact/preact.mjs';
import { desktopAt } from './addresses.js';
import { Api } from './api.js';
import { backoffMs } from './backoff.js';
import { LINK_WORDS } from './doors.js';
import { asSentence, linkTrouble } from './problems.js';
import { Shut, Waiting } from './view/door.js';

/** @import { Child } from '../vendor/preact/preact.mjs' */
/** @import { Answer } from './types.js' */
/** @import { DoorTrouble } from './doors.js' */

const api = new Api(base);
const root = /** @type {HTMLElement} */ (document.getElementById('app'));
let failures = 0;
let timer = 0;

/** @param {'joining' | 'shut'} state @param {Child} node */
function draw(state, node) {
  document.documentElement.dataset.state = state;
  render(node, root);
}

/** @param {DoorTrouble} trouble @param {string} [detail] @param {number} [waitMs] */
function shut(trouble, detail = '', waitMs = 0) {
  const mayRetry = trouble === 'away' || trouble === 'slow-down';
  document.documentElement.dataset.reason = trouble;
  draw('shut', h(Shut, {
    words: LINK_WORDS[trouble], detail, home: base, onRetry: mayRetry ? () => void join() : null,
    // A server that is away may be back before the wait is over; one that is crowded is not to be asked.
    retryAt: trouble === 'slow-down' ? Date.now() + waitMs : 0,
  }));
  if (mayRetry) timer = setTimeout(() => void join(), waitMs);
}

async function join() {
  clearTimeout(timer);
  if (!secret) return shut('missing');
  draw('joining', h(Waiting, { text: 'Joining the desktop…' }));
  /** @type {Answer<{ url?: string }>} */
  const answer = await api.ask('POST', 'redeem', { token: secret });
  if (!answer.ok) {
    failures += 1;
    const { problem } = answer;
    const trouble = linkTrouble(problem);
    const waitMs = Math.max(problem.retryAfterS * 1000, backoffMs(failures + 1, Math.random()));
    return shut(trouble, trouble === 'refused' && problem.detail ? asSentence(problem.detail) : '', waitMs);
  }
  const url = desktopAt(base, answer.value?.url);
  if (!url) return shut('refused', 'The server named no desktop.');
  // Back leads to where the link was, not to here.
  return location.replace(url);
}

window.addEventListener('online', () => { if (document.documentElement.dataset.reason === 'away') void join(); });
void join();
