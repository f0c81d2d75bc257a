/** Administrators: who has an account here. */

import { h } from '../../vendor/preact/preact.mjs';
import { called } from '../state.js';
import { t } from '../words.js';
import { Avatar, Failed, IconButton, icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Model, User } from '../types.js' */

/** @param {{ model: Model, actions: Actions }} props */
export const People = (props) => h('main', { class: 'content', id: 'content' },
  h('section', { 'aria-labelledby': 'people-title' },
    h('div', { class: 'section-head' },
      h('h1', { id: 'people-title' }, t('people.title')),
      h('button', { type: 'button', class: 'button primary', onClick: () => props.actions.openPerson() }, icon('plus'), t('people.add'))),
    list(props)));

/** @param {{ model: Model, actions: Actions }} props */
function list({ model, actions }) {
  const { items, problem } = model.users;
  if (problem && !items) return h(Failed, { title: t('people.unread'), problem, onRetry: () => void actions.readUsers() });
  if (!items) return h('ul', { class: 'people', 'aria-busy': 'true', 'aria-label': t('people.reading') }, ...[1, 2, 3].map((key) => h('li', { key, class: 'person ghost' })));
  return h('ul', { class: 'people' }, ...items.map((user) => h(Person, { key: user.id, user, isActing: model.acting.has(user.id), isMe: user.id === model.me?.id, actions })));
}

/** @param {{ user: User, isActing: boolean, isMe: boolean, actions: Actions }} props */
function Person({ user, isActing, isMe, actions }) {
  const name = called(user);
  const isOff = user.disabled === true;
  return h('li', { class: isOff ? 'person off' : 'person', 'aria-label': name },
    h(Avatar, { name }),
    h('div', { class: 'person-name' },
      h('b', { class: 'clip', title: name }, name, isMe && h('span', { class: 'soft' }, ' ', t('common.you'))),
      h('span', { class: 'soft clip' }, user.name)),
    h('div', { class: 'tags' },
      user.role === 'admin' && h('span', { class: 'tag accent' }, t('people.admin')),
      isOff && h('span', { class: 'tag stop' }, t('people.off')),
      !isOff && !user.has_password && h('span', { class: 'tag' }, t('people.no-password'))),
    h('div', { class: 'person-actions' },
      !isMe && h('button', { type: 'button', class: 'button small', disabled: isActing, 'aria-label': t(isOff ? 'people.switch-on-name' : 'people.switch-off-name', { name }), onClick: () => void actions.setDisabled(user, !isOff) }, t(isOff ? 'people.switch-on' : 'people.switch-off')),
      !isMe && h(IconButton, { label: t('people.delete-name', { name }), icon: 'bin', disabled: isActing, onClick: () => actions.openDeletePerson(user) })));
}
