/** The way in for those who have an account. */

import { h } from '../../vendor/preact/preact.mjs';
import { sentence, signInSentence } from '../problems.js';
import { t } from '../words.js';
import { Countdown, Field, Password, Trouble, filledIn, icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Model } from '../types.js' */

/** @param {{ model: Model, actions: Actions }} props */
export function SignIn({ model, actions }) {
  const { busy, problem, retryAt } = model.signIn;
  return h('main', { class: 'door' },
    h('div', { class: 'door-card' },
      h('div', { class: 'door-head' },
        h('span', { class: 'mark', 'aria-hidden': 'true' }),
        h('h1', null, t('signin.title'))),
      model.said && h('p', { class: 'note' }, icon('door'), h('span', null, model.said)),
      model.guest && guestNote(model.guest.session, actions),
      h('form', {
        onSubmit: (event) => {
          const { name = '', password = '' } = filledIn(event);
          void actions.signIn(name.trim(), password);
        },
      },
      h(Field, { label: t('signin.name'), name: 'name', autocomplete: 'username', required: true, autocapitalize: 'off', spellcheck: false, maxlength: 200 }),
      h(Password, { label: t('signin.password'), name: 'password', autocomplete: 'current-password' }),
      h(Trouble, { problem, words: signInSentence }),
      h(Countdown, {
        until: retryAt,
        draw: (seconds) => h('button', { class: 'button primary wide', disabled: busy || seconds > 0 },
          seconds > 0 ? t('common.again-in', { seconds }) : t(busy ? 'signin.busy' : 'signin.go')),
      }))),
    h('p', { class: 'door-foot' }, t('signin.no-account')));
}

/** Guests have no account; the door is not for them, their desktop is. @param {string} session @param {Actions} actions */
const guestNote = (session, actions) => h('p', { class: 'note' },
  icon('people'),
  h('span', null, t('signin.guest'), ' ', h('a', { href: actions.desktop(session) }, t('signin.guest-go'))));

/** Nothing answers. @param {{ model: Model, actions: Actions }} props */
export const Away = ({ model, actions }) => h('main', { class: 'door' },
  h('div', { class: 'door-card centred', role: 'alert' },
    h('span', { class: 'glyph', 'data-tone': 'warn' }, icon('signal')),
    h('h1', null, t('common.no-answer')),
    h('p', { class: 'soft' }, model.problem && model.problem.trouble !== 'away' ? sentence(model.problem) : t('common.no-answer-text')),
    h('button', { type: 'button', class: 'button primary', onClick: () => void actions.check() }, t('common.again'))));
