/** The way in for those who have an account. */

import { html } from '../html.js';
import { sentence, signInSentence } from '../problems.js';
import { t } from '../words.js';
import { Countdown, Field, Password, Trouble, filledIn, icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Model } from '../types.js' */

/** @param {{ model: Model, actions: Actions }} props */
export function SignIn({ model, actions }) {
  const { busy, problem, retryAt } = model.signIn;
  return html`<main class="door">
    <div class="door-card">
      <div class="door-head">
        <span class="mark" aria-hidden="true" />
        <h1>${t('signin.title')}</h1>
      </div>
      ${model.said && html`<p class="note">${icon('door')}<span>${model.said}</span></p>`}
      ${model.guest && guestNote(model.guest.session, actions)}
      <form
        onSubmit=${(event) => {
          const { name = '', password = '' } = filledIn(event);
          void actions.signIn(name.trim(), password);
        }}
      >
      <${Field} label=${t('signin.name')} name="name" autocomplete="username" required autocapitalize="off" spellcheck=${false} maxlength=${200} />
      <${Password} label=${t('signin.password')} name="password" autocomplete="current-password" />
      <${Trouble} problem=${problem} words=${signInSentence} />
      <${Countdown}
        until=${retryAt}
        draw=${(seconds) => html`<button class="button primary wide" disabled=${busy || seconds > 0}>
          ${seconds > 0 ? t('common.again-in', { seconds }) : t(busy ? 'signin.busy' : 'signin.go')}
        </button>`}
      />
      </form>
    </div>
    <p class="door-foot">${t('signin.no-account')}</p>
  </main>`;
}

/** Guests have no account; the door is not for them, their desktop is. @param {string} session @param {Actions} actions */
const guestNote = (session, actions) => html`<p class="note">
  ${icon('people')}
  <span>${t('signin.guest')}${' '}<a href=${actions.desktop(session)}>${t('signin.guest-go')}</a></span>
</p>`;

/** Nothing answers. @param {{ model: Model, actions: Actions }} props */
export const Away = ({ model, actions }) => html`<main class="door">
  <div class="door-card centred" role="alert">
    <span class="glyph" data-tone="warn">${icon('signal')}</span>
    <h1>${t('common.no-answer')}</h1>
    <p class="soft">${model.problem && model.problem.trouble !== 'away' ? sentence(model.problem) : t('common.no-answer-text')}</p>
    <button type="button" class="button primary" onClick=${() => void actions.check()}>${t('common.again')}</button>
  </div>
</main>`;
