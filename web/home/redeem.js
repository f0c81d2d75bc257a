/**
 * A share link (`/s/<token>`): its secret is swapped for a cookie by this script, so that programs
 * which only look at addresses use nothing up.
 */

import { base, secret } from './secret-path.js';
import { html } from './html.js';
import { desktopAt } from './addresses.js';
import { entranceAt } from './previews.js';
import { Api } from './api.js';
import { LINK_WORDS } from './doors.js';
import { Doorway } from './doorway.js';
import { t } from './words.js';
import { Waiting } from './view/door.js';

/** @import { Answer } from './types.js' */

const api = new Api(base);
const door = new Doorway(LINK_WORDS, base, () => void join());

async function join() {
  if (!secret) return door.shut('missing');
  door.draw('joining', html`<${Waiting} text=${t('redeem.opening')} />`);
  /** @type {Answer<{ url?: string, role?: string }>} */
  const answer = await api.ask('POST', 'redeem', { token: secret });
  if (!answer.ok) return door.refuse(answer.problem);
  const { url: named, role } = answer.value ?? {};
  const url = role === 'preview' ? entranceAt(named, location) : desktopAt(base, named);
  if (!url) return door.shut('refused', t('redeem.nothing'));
  // Back leads to where the link was, not to here.
  return location.replace(url);
}

window.addEventListener('online', () => { if (document.documentElement.dataset.reason === 'away') void join(); });
void join();
