/** Administrators: who has an account here. */

import { h } from '../../vendor/preact/preact.mjs';
import { called } from '../state.js';
import { Avatar, Failed, IconButton, icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Model, User } from '../types.js' */

/** @param {{ model: Model, actions: Actions }} props */
export const People = (props) => h('main', { class: 'content', id: 'content' },
  h('section', { 'aria-labelledby': 'people-title' },
    h('div', { class: 'section-head' },
      h('h1', { id: 'people-title' }, 'People'),
      h('button', { type: 'button', class: 'button primary', onClick: () => props.actions.openPerson() }, icon('plus'), 'Add a person')),
    list(props)));

/** @param {{ model: Model, actions: Actions }} props */
function list({ model, actions }) {
  const { items, problem } = model.users;
  if (problem && !items) return h(Failed, { title: 'The people could not be read', problem, onRetry: () => void actions.readUsers() });
  if (!items) return h('ul', { class: 'people', 'aria-busy': 'true', 'aria-label': 'Reading the people' }, ...[1, 2, 3].map((key) => h('li', { key, class: 'person ghost' })));
  return h('ul', { class: 'people' }, ...items.map((user) => h(Person, { key: user.id, user, isActing: model.acting.has(user.id), isMe: user.id === model.me?.id, actions })));
}

/** @param {{ user: User, isActing: boolean, isMe: boolean, actions: Actions }} props */
function Person({ user, isActing, isMe, actions }) {
  const name = called(user);
  const isOff = user.disabled === true;
  return h('li', { class: isOff ? 'person off' : 'person', 'aria-label': name },
    h(Avatar, { name }),
    h('div', { class: 'person-name' },
      h('b', { class: 'clip', title: name }, name, isMe && h('span', { class: 'soft' }, ' (you)')),
      h('span', { class: 'soft clip' }, user.name)),
    h('div', { class: 'tags' },
      user.role === 'admin' && h('span', { class: 'tag accent' }, 'Administrator'),
      isOff && h('span', { class: 'tag stop' }, 'Switched off'),
      !isOff && !user.has_password && h('span', { class: 'tag' }, 'No password yet')),
    h('div', { class: 'person-actions' },
      !isMe && h('button', { type: 'button', class: 'button small', disabled: isActing, 'aria-label': `${isOff ? 'Switch on' : 'Switch off'} ${name}`, onClick: () => void actions.setDisabled(user, !isOff) }, isOff ? 'Switch on' : 'Switch off'),
      !isMe && h(IconButton, { label: `Delete ${name}`, icon: 'bin', disabled: isActing, onClick: () => actions.openDeletePerson(user) })));
}
