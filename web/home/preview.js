/**
 * The way to a program's pages (`/preview/<session>/<port>?to=…`): asks for a ticket as whoever is
 * signed in here, and goes to the preview's own address with it.
 */

import { render } from '../vendor/preact/preact.mjs';
import { html } from './html.js';
import { Api, path } from './api.js';
import { backoffMs } from './backoff.js';
import { PREVIEW_WORDS } from './doors.js';
import { asSentence } from './problems.js';
import { entranceOf, previewAt } from './previews.js';
import { t } from './words.js';
import { Shut, Waiting } from './view/door.js';

/** @import { Answer, Problem } from './types.js' */

const base = new URL('../../', location.href).href;
const wanted = previewAt(location.pathname, new URLSearchParams(location.search).get('to'));
const root = /** @type {HTMLElement} */ (document.getElementById('app'));
const api = new Api(base);
let failures = 0;
let timer = 0;

async function enter() {
  clearTimeout(timer);
  if (!wanted) return shut('missing');
  document.documentElement.dataset.state = 'opening';
  render(html`<${Waiting} text=${t('preview.opening')} />`, root);
  /** @type {Answer<{ url?: string }>} */
  const answer = await api.ask('POST', path('sessions', wanted.session, 'previews'), { port: wanted.port });
  if (!answer.ok) return refuse(answer.problem);
  const url = entranceOf(answer.value?.url, wanted, location);
  // Back leads to where the preview was opened from, not to here.
  return url ? location.replace(url) : shut('refused', t('preview.nothing'));
}

/** @param {Problem} problem */
function refuse({ trouble, detail, retryAfterS }) {
  switch (trouble) {
    case 'signed-out': return shut('signed-out');
    case 'missing': return shut('missing');
    case 'away':
    case 'busy':
    case 'slow-down':
      failures += 1;
      timer = setTimeout(() => void enter(), Math.max(retryAfterS * 1000, backoffMs(failures + 1, Math.random())));
      return shut('away');
    default: return shut('refused', detail ? asSentence(detail) : '');
  }
}

/** @param {keyof typeof PREVIEW_WORDS} reason @param {string} [detail] */
function shut(reason, detail = '') {
  document.documentElement.dataset.state = 'shut';
  document.documentElement.dataset.reason = reason;
  render(html`<${Shut} words=${PREVIEW_WORDS[reason]} detail=${detail} home=${base} retryAt=${0} onRetry=${reason === 'away' ? () => void enter() : null} />`, root);
}

window.addEventListener('online', () => { if (document.documentElement.dataset.reason === 'away') void enter(); });
void enter();
