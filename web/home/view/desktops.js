/** Desktops as cards: one's own, those of others, and all of them. */

import { html } from '../html.js';
import { called, found, mine, shared, titled } from '../state.js';
import { offers, since, standing, stateSentence, stateTone, t, wallpaper } from '../words.js';
import { Bin } from './bin.js';
import { Failed, IconButton, icon } from './parts.js';
import { Still } from './still.js';

/** @import { Actions } from '../main.js' */
/** @import { Model, Session } from '../types.js' */
/** @import { Child } from '../../vendor/preact/preact.mjs' */

/** @typedef {{ model: Model, actions: Actions }} Props */

/** @param {Props} props */
export function Mine(props) {
  const { model, actions } = props;
  const [own, others] = [mine(model), shared(model)];
  const [shownOwn, shownOthers] = [found(model, own), found(model, others)];
  const all = own.length + others.length;
  const isNone = all > 0 && shownOwn.length + shownOthers.length === 0;
  return html`<main class="content" id="content">
    ${passwordNote(model, actions)}
    <section aria-labelledby="mine-title">
      <div class="section-head">
        <h1 id="mine-title">${t('desktops.mine')}</h1>
        ${search(props, all, shownOwn.length + shownOthers.length)}
        ${own.length > 0 && html`<button type="button" class="button primary" onClick=${() => actions.openNew()}>${icon('plus')}${t('desktops.new')}</button>`}
      </div>
      ${isNone ? html`<${NothingFound} ...${props} />` : (shownOwn.length > 0 || own.length === 0) && cards(props, shownOwn, () => html`<${FirstDesktop} ...${props} />`)}
    </section>
    ${shownOthers.length > 0 && html`<section aria-labelledby="shared-title">
      <div class="section-head"><h2 id="shared-title">${t('desktops.shared')}</h2></div>
      ${cards(props, shownOthers, () => null)}
    </section>`}
    <${Bin} ...${props} />
  </main>`;
}

/** @param {Props} props */
export function All(props) {
  const { model } = props;
  const all = model.sessions.items ?? [];
  const shown = found(model, all);
  return html`<main class="content" id="content">
    <section aria-labelledby="all-title">
      <div class="section-head">
        <h1 id="all-title">${t('desktops.all')}</h1>
        ${search(props, all.length, shown.length)}
        <p class="count">${tally(model)}</p>
      </div>
      ${all.length > 0 && shown.length === 0 ? html`<${NothingFound} ...${props} />` : cards(props, shown, () => html`<div class="empty">
        <span class="glyph">${icon('screen')}</span>
        <h3>${t('desktops.none')}</h3>
        <p>${t('desktops.none-hint')}</p>
      </div>`)}
    </section>
  </main>`;
}

/** So many are taken in at a glance. */
const AT_A_GLANCE = 3;

/** @param {Props} props @param {number} all @param {number} shown */
function search({ model: { query }, actions }, all, shown) {
  if (all <= AT_A_GLANCE && query === '') return html`<span class="push" />`;
  return html`<div class="search" role="search">
    ${icon('search')}
    <input
      class="input" type="search" id="f-search" value=${query} placeholder=${t('search.hint')} aria-label=${t('search.label')} autocomplete="off" spellcheck=${false} maxlength=${64}
      onInput=${({ currentTarget }) => { if (currentTarget instanceof HTMLInputElement) actions.search(currentTarget.value); }}
      onKeyDown=${(event) => { if (event.key === 'Escape') actions.search(''); }}
    />
    <span class="away" role="status">${query === '' ? '' : t('search.found', { shown, all })}</span>
  </div>`;
}

/** @param {Props} props */
const NothingFound = ({ model: { query }, actions }) => html`<div class="empty">
  <span class="glyph">${icon('search')}</span>
  <h3>${t('search.none', { query })}</h3>
  <p>${t('search.none-hint')}</p>
  <button type="button" class="button" onClick=${() => actions.search('')}>${t('search.clear')}</button>
</div>`;

/** @param {Model} model */
function tally({ sessions }) {
  const all = sessions.items ?? [];
  const up = all.filter(({ state }) => offers(state).open).length;
  return sessions.items ? t(all.length === 1 ? 'desktops.tally-one' : 'desktops.tally', { up, count: all.length }) : '';
}

/** @param {Props} props @param {readonly Session[]} sessions @param {() => Child} empty */
function cards(props, sessions, empty) {
  const { model: { sessions: { items, problem } }, actions } = props;
  if (problem && !items) return html`<${Failed} title=${t('desktops.unread')} problem=${problem} onRetry=${() => void actions.readSessions()} />`;
  if (!items) return html`<ul class="cards" aria-busy="true" aria-label=${t('desktops.reading')}>${[1, 2, 3].map((key) => html`<li key=${key} class="desk ghost" />`)}</ul>`;
  if (sessions.length === 0) return empty();
  return html`<ul class="cards">${sessions.map((session) => html`<${Desk} key=${session.id} session=${session} ...${props} />`)}</ul>`;
}

/** An invitation. @param {Props} props */
const FirstDesktop = ({ actions, model }) => html`<div class="empty invite">
  <span class="glyph">${icon('screen')}</span>
  <h2>${t('desktops.first')}</h2>
  <p>${t('desktops.first-hint')}</p>
  <button type="button" class="button primary large" disabled=${model.acting.has('new')} onClick=${() => actions.startFirst()}>${icon('play')}${t('desktops.first-go')}</button>
  <button type="button" class="button" onClick=${() => actions.openNew()}>${t('new.with-files')}</button>
</div>`;

/** Who came by a one-time sign-in has no way back. @param {Model} model @param {Actions} actions */
const passwordNote = ({ me }, actions) => me && !me.has_password && html`<div class="banner" role="note">
  ${icon('key')}
  <p><b>${t('password.none')}</b>${' '}${t('password.none-hint')}</p>
  <button type="button" class="button" onClick=${() => actions.openPassword()}>${t('password.set')}</button>
</div>`;

/** @param {{ session: Session, model: Model, actions: Actions }} props */
function Desk({ session, model, actions }) {
  const { id, state, viewers } = session;
  const name = titled(session);
  const can = offers(state);
  const isMaster = mayManage(session);
  const isActing = model.acting.has(id);
  return html`<li class="desk" data-tone=${stateTone(state)} data-session=${id} data-state=${state} aria-labelledby="d-${id}">
    <${Screen} session=${session} actions=${actions} />
    <div class="desk-body">
      <h3 id="d-${id}" title=${name}>${isMaster ? html`<a href="#desktop/${id}">${name}</a>` : name}</h3>
      <p class="soft clip">${about(session, model)}</p>
      <p class="desk-state">
        <span class="state" data-tone=${stateTone(state)}>${icon(`state-${stateTone(state)}`)}${stateSentence(session)}</span>
        ${viewers > 0 && html`<span class="watching">${icon('eye')}${t('desktops.watching', { count: viewers })}</span>`}
      </p>
      ${state === 'queued' && html`<p class="soft">${t('line.hint')}</p>`}
      ${state === 'failed' && session.reason && html`<p class="reason">${session.reason}</p>`}
    </div>
    <div class="desk-actions">
      <${Main} session=${session} actions=${actions} isActing=${isActing} />
      ${isMaster && html`<button type="button" class="button" aria-label=${t('desktops.share-name', { name })} onClick=${() => actions.openShare(id)}>${icon('share')}${t('project.share')}</button>`}
      <span class="push" />
      ${isMaster && can.stop && html`<${IconButton} label=${t('desktops.stop-name', { name })} icon="stop" disabled=${isActing} onClick=${() => actions.openStop(id)} />`}
      ${isMaster && moreButton(session)}
      ${isMaster && html`<${IconButton} label=${t('people.delete-name', { name })} icon="bin" disabled=${isActing} onClick=${() => void actions.remove(id)} />`}
      ${isMaster && more(session, actions, isActing)}
    </div>
  </li>`;
}

/** @param {Session} session */
export const mayManage = ({ role }) => role === 'owner' || role === 'admin';

/** What it shows, as far as there is anything to see. @param {{ session: Session, actions: Actions }} props */
export function Screen({ session, actions }) {
  const { id, state, queue } = session;
  const inside = [
    html`<span key="glyph" class="desk-glyph">${queue ? html`<b class="desk-place">${String(queue.position)}</b>` : icon('screen')}</span>`,
    html`<${Still} key="still" session=${session} actions=${actions} />`,
  ];
  const attributes = { class: 'desk-screen', 'data-paper': wallpaper(id), 'aria-hidden': 'true' };
  // The same as the button says, for who points.
  return offers(state).open ? html`<a ...${attributes} key="a" href=${actions.desktop(id)} tabindex=${-1}>${inside}</a>` : html`<div ...${attributes} key="div">${inside}</div>`;
}

/** What is done seldom. @param {Session} session @param {Actions} actions @param {boolean} isActing */
function more(session, actions, isActing) {
  const { id, state, role } = session;
  const name = titled(session);
  const menu = `more-${id}`;
  const can = offers(state);
  const item = (/** @type {keyof typeof import('./icons.js').ICONS} */ glyph, /** @type {import('../words.js').TextKey} */ word, /** @type {() => void} */ act) => (
    html`<button type="button" class="item" disabled=${isActing} onClick=${() => { hide(menu); act(); }}>${icon(glyph)}${t(word)}</button>`);
  return html`<div id=${menu} class="popover more" popover="auto" role="group" aria-label=${t('desktops.more-name', { name })}>
    <a class="item" href="#desktop/${id}" onClick=${() => hide(menu)}>${icon('list')}${t('more.details')}</a>
    ${session.can_pause && can.pause && item('pause', 'more.pause', () => void actions.pause(id))}
    ${can.open && item('update', 'more.restart', () => actions.openRestart(id))}
    ${item('pen', 'more.rename', () => actions.openRename(id))}
    ${role === 'owner' && item('copy', 'more.duplicate', () => actions.openDuplicate(id))}
    ${item('clock', 'more.snapshots', () => actions.openSnapshots(id))}
    ${can.reset && item('broom', 'more.reset', () => actions.openReset(id))}
  </div>`;
}

/** @param {Session} session */
function moreButton(session) {
  const label = t('desktops.more-name', { name: titled(session) });
  const menu = `more-${session.id}`;
  return html`<button
    type="button" class="icon-button" popovertarget=${menu} aria-label=${label} title=${label}
    onClick=${(/** @type {MouseEvent} */ event) => putBeside(menu, event.currentTarget)}
  >${icon('more')}</button>`;
}

/** Before anything opens from it, so that the focus goes back to the button. @param {string} menu */
function hide(menu) {
  const popover = document.getElementById(menu);
  if (popover?.matches(':popover-open')) popover.hidePopover();
}

/** Above its button, whose card may be the last on the page. @param {string} menu @param {EventTarget | null} button */
function putBeside(menu, button) {
  const popover = document.getElementById(menu);
  if (!popover || !(button instanceof Element)) return;
  const { top, right } = button.getBoundingClientRect();
  popover.style.insetBlockEnd = `${innerHeight - top + 4}px`;
  popover.style.insetInlineEnd = `${document.documentElement.clientWidth - right}px`;
}

/** What is under way, in a word that fits a button. @type {Readonly<Partial<Record<Session['state'], import('../words.js').TextKey>>>} */
const BUSY = { queued: 'desktops.waiting', stopping: 'desktops.stopping' };

/** What is done most with a desktop as it is. @param {{ session: Session, actions: Actions, isActing: boolean }} props */
export function Main({ session, actions, isActing }) {
  const { id, state, role } = session;
  const name = titled(session);
  const can = offers(state);
  if (can.open) return html`<a class="button primary" href=${actions.desktop(id)} aria-label=${t('desktops.open-name', { name })}>${icon('open')}${t(role === 'view' ? 'desktops.watch' : 'desktops.open')}</a>`;
  if (can.start && mayManage(session)) return html`<button type="button" class="button primary" disabled=${isActing} aria-label=${t('desktops.start-name', { name })} onClick=${() => void actions.start(id)}>${icon('play')}${t('desktops.start')}</button>`;
  return html`<button type="button" class="button primary" disabled>${t(can.start ? 'desktops.rests' : BUSY[state] ?? 'desktops.starting')}</button>`;
}

/** @param {Session} session @param {Model} model */
export const kindOf = ({ template }, { templates }) => templates.find(({ id }) => id === template)?.title ?? template;

/** What kind of desktop it is, and whose. @param {Session} session @param {Model} model */
function about(session, model) {
  const { owner, role, created_at: created } = session;
  const [kind, { now }] = [kindOf(session, model), model];
  if (role === 'owner') return t('desktops.about', { kind, since: since(created, now) });
  return role === 'admin' ? `${called(owner)} · ${kind}` : `${called(owner)} · ${standing(role)}`;
}
