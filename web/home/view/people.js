/** Administrators: who has an account here. */

import { html } from '../html.js';
import { called } from '../state.js';
import { t } from '../words.js';
import { Avatar, Failed, IconButton, icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Model, User } from '../types.js' */

/** @param {{ model: Model, actions: Actions }} props */
export const People = (props) => html`<main class="content" id="content">
  <section aria-labelledby="people-title">
    <div class="section-head">
      <h1 id="people-title">${t('people.title')}</h1>
      <button type="button" class="button primary" onClick=${() => props.actions.openPerson()}>${icon('plus')}${t('people.add')}</button>
    </div>
    ${list(props)}
  </section>
</main>`;

/** @param {{ model: Model, actions: Actions }} props */
function list({ model, actions }) {
  const { items, problem } = model.users;
  if (problem && !items) return html`<${Failed} title=${t('people.unread')} problem=${problem} onRetry=${() => void actions.readUsers()} />`;
  if (!items) return html`<ul class="people" aria-busy="true" aria-label=${t('people.reading')}>${[1, 2, 3].map((key) => html`<li key=${key} class="person ghost" />`)}</ul>`;
  return html`<ul class="people">${items.map((user) => html`<${Person} key=${user.id} user=${user} isActing=${model.acting.has(user.id)} isMe=${user.id === model.me?.id} actions=${actions} />`)}</ul>`;
}

/** @param {{ user: User, isActing: boolean, isMe: boolean, actions: Actions }} props */
function Person({ user, isActing, isMe, actions }) {
  const name = called(user);
  const isOff = user.disabled === true;
  return html`<li class=${isOff ? 'person off' : 'person'} aria-label=${name}>
    <${Avatar} name=${name} />
    <div class="person-name">
      <b class="clip" title=${name}>${name}${isMe && html`<span class="soft">${' '}${t('common.you')}</span>`}</b>
      <span class="soft clip">${user.name}</span>
    </div>
    <div class="tags">
      ${user.role === 'admin' && html`<span class="tag accent">${t('people.admin')}</span>`}
      ${isOff && html`<span class="tag stop">${t('people.off')}</span>`}
      ${!isOff && !user.has_password && html`<span class="tag">${t('people.no-password')}</span>`}
    </div>
    <div class="person-actions">
      ${!isMe && html`<button
        type="button" class="button small" disabled=${isActing} onClick=${() => void actions.setDisabled(user, !isOff)}
        aria-label=${t(isOff ? 'people.switch-on-name' : 'people.switch-off-name', { name })}
      >${t(isOff ? 'people.switch-on' : 'people.switch-off')}</button>`}
      ${!isMe && html`<${IconButton} label=${t('people.delete-name', { name })} icon="bin" disabled=${isActing} onClick=${() => actions.openDeletePerson(user)} />`}
    </div>
  </li>`;
}
