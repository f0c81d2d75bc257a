/** The way in for those who have an account. */

import { h } from '../../vendor/preact/preact.mjs';
import { sentence, signInSentence } from '../problems.js';
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
        h('h1', null, 'Sign in to Lattice')),
      model.said && h('p', { class: 'note' }, icon('door'), h('span', null, model.said)),
      model.guest && guestNote(model.guest.session, actions),
      h('form', {
        onSubmit: (event) => {
          const { name = '', password = '' } = filledIn(event);
          void actions.signIn(name.trim(), password);
        },
      },
      h(Field, { label: 'Name', name: 'name', autocomplete: 'username', required: true, autocapitalize: 'off', spellcheck: false, maxlength: 200 }),
      h(Password, { label: 'Password', name: 'password', autocomplete: 'current-password' }),
      h(Trouble, { problem, words: signInSentence }),
      h(Countdown, {
        until: retryAt,
        draw: (seconds) => h('button', { class: 'button primary wide', disabled: busy || seconds > 0 },
          seconds > 0 ? `Try again in ${seconds} s` : busy ? 'Signing in…' : 'Sign in'),
      }))),
    h('p', { class: 'door-foot' }, 'No account? Open the link that somebody gave you, or ask your teacher for one.'));
}

/** Guests have no account; the door is not for them, their desktop is. @param {string} session @param {Actions} actions */
const guestNote = (session, actions) => h('p', { class: 'note' },
  icon('people'),
  h('span', null, 'You are a guest of one desktop. ', h('a', { href: actions.desktop(session) }, 'Go to it'), '.'));

/** Nothing answers. @param {{ model: Model, actions: Actions }} props */
export const Away = ({ model, actions }) => h('main', { class: 'door' },
  h('div', { class: 'door-card centred', role: 'alert' },
    h('span', { class: 'glyph', 'data-tone': 'warn' }, icon('signal')),
    h('h1', null, 'The server does not answer'),
    h('p', { class: 'soft' }, model.problem && model.problem.trouble !== 'away' ? sentence(model.problem) : 'It may be restarting, or the network to it is down. Desktops go on running meanwhile.'),
    h('button', { type: 'button', class: 'button primary', onClick: () => void actions.check() }, 'Try again')));
