/** A one-time sign-in (`/enter#<token>`): swaps it for a cookie, then offers to set a password. */

import { base, next, secret } from './secret-hash.js';
import { html } from './html.js';
import { desktopAt } from './addresses.js';
import { Api } from './api.js';
import { ENTER_WORDS } from './doors.js';
import { Doorway } from './doorway.js';
import { called } from './state.js';
import { t } from './words.js';
import { Waiting } from './view/door.js';
import { Password, Trouble, filledIn } from './view/parts.js';

/** @import { Answer, Me, Problem } from './types.js' */

const api = new Api(base);
const door = new Doorway(ENTER_WORDS, base, () => void enter());

const desktop = desktopAt(base, next);
const goHome = () => location.replace(base);

async function enter() {
  if (!secret) return door.shut('missing');
  door.draw('entering', html`<${Waiting} text=${t('enter.entering')} />`);
  const answer = await api.ask('POST', 'enter', { token: secret });
  if (!answer.ok) return door.refuse(answer.problem);
  if (desktop) return location.replace(desktop);
  /** @type {Answer<{ user?: Me }>} */
  const asked = await api.ask('GET', 'me');
  const me = asked.ok ? asked.value?.user : undefined;
  if (!me || me.has_password) return goHome();
  return offerPassword(me, false, null);
}

/** @param {Me} me @param {boolean} busy @param {Problem | null} problem */
function offerPassword(me, busy, problem) {
  const isFirst = document.documentElement.dataset.state !== 'password';
  door.draw('password', html`<main class="door">
    <div class="door-card">
      <div class="door-head">
        <span class="mark" aria-hidden="true" />
        <h1>${t('enter.welcome', { name: called(me) })}</h1>
        <p class="soft">${t('enter.choose')}</p>
      </div>
      <form onSubmit=${(event) => void setPassword(me, filledIn(event).fresh ?? '')}>
        <input class="away" name="username" autocomplete="username" value=${me.name} readonly tabindex=${-1} aria-hidden="true" />
        <${Password} label=${t('password.new')} name="fresh" autocomplete="new-password" minlength=${8} hint=${t('password.hint')} />
        <p class="hint">${t('enter.name')}${' '}<b>${me.name}</b></p>
        <${Trouble} problem=${problem} />
        <button class="button primary wide" disabled=${busy}>${t(busy ? 'rename.busy' : 'enter.set')}</button>
        <button type="button" class="button quiet wide" onClick=${goHome}>${t('common.not-now')}</button>
      </form>
    </div>
  </main>`);
  if (isFirst) document.getElementById('f-fresh')?.focus();
}

/** @param {Me} me @param {string} fresh */
async function setPassword(me, fresh) {
  offerPassword(me, true, null);
  const answer = await api.ask('PUT', 'me/password', { new: fresh });
  if (answer.ok) goHome();
  else offerPassword(me, false, answer.problem);
}

void enter();
