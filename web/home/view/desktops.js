/** Desktops as cards: one's own, those of others, and all of them. */

import { h } from '../../vendor/preact/preact.mjs';
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
  return h('main', { class: 'content', id: 'content' },
    passwordNote(model, actions),
    h('section', { 'aria-labelledby': 'mine-title' },
      h('div', { class: 'section-head' },
        h('h1', { id: 'mine-title' }, t('desktops.mine')),
        search(props, all, shownOwn.length + shownOthers.length),
        own.length > 0 && h('button', { type: 'button', class: 'button primary', onClick: () => actions.openNew() }, icon('plus'), t('desktops.new'))),
      isNone ? h(NothingFound, props) : (shownOwn.length > 0 || own.length === 0) && cards(props, shownOwn, () => h(FirstDesktop, props))),
    shownOthers.length > 0 && h('section', { 'aria-labelledby': 'shared-title' },
      h('div', { class: 'section-head' }, h('h2', { id: 'shared-title' }, t('desktops.shared'))),
      cards(props, shownOthers, () => null)),
    h(Bin, props));
}

/** @param {Props} props */
export function All(props) {
  const { model } = props;
  const all = model.sessions.items ?? [];
  const shown = found(model, all);
  return h('main', { class: 'content', id: 'content' },
    h('section', { 'aria-labelledby': 'all-title' },
      h('div', { class: 'section-head' },
        h('h1', { id: 'all-title' }, t('desktops.all')),
        search(props, all.length, shown.length),
        h('p', { class: 'count' }, tally(model))),
      all.length > 0 && shown.length === 0 ? h(NothingFound, props) : cards(props, shown, () => h('div', { class: 'empty' },
        h('span', { class: 'glyph' }, icon('screen')),
        h('h3', null, t('desktops.none')),
        h('p', null, t('desktops.none-hint'))))));
}

/** So many are taken in at a glance. */
const AT_A_GLANCE = 3;

/** @param {Props} props @param {number} all @param {number} shown */
function search({ model: { query }, actions }, all, shown) {
  if (all <= AT_A_GLANCE && query === '') return h('span', { class: 'push' });
  return h('div', { class: 'search', role: 'search' },
    icon('search'),
    h('input', {
      class: 'input', type: 'search', id: 'f-search', value: query, placeholder: t('search.hint'), 'aria-label': t('search.label'), autocomplete: 'off', spellcheck: false, maxlength: 64,
      onInput: ({ currentTarget }) => { if (currentTarget instanceof HTMLInputElement) actions.search(currentTarget.value); },
      onKeyDown: (event) => { if (event.key === 'Escape') actions.search(''); },
    }),
    h('span', { class: 'away', role: 'status' }, query === '' ? '' : t('search.found', { shown, all })));
}

/** @param {Props} props */
const NothingFound = ({ model: { query }, actions }) => h('div', { class: 'empty' },
  h('span', { class: 'glyph' }, icon('search')),
  h('h3', null, t('search.none', { query })),
  h('p', null, t('search.none-hint')),
  h('button', { type: 'button', class: 'button', onClick: () => actions.search('') }, t('search.clear')));

/** @param {Model} model */
function tally({ sessions }) {
  const all = sessions.items ?? [];
  const up = all.filter(({ state }) => offers(state).open).length;
  return sessions.items ? t(all.length === 1 ? 'desktops.tally-one' : 'desktops.tally', { up, count: all.length }) : '';
}

/** @param {Props} props @param {readonly Session[]} sessions @param {() => Child} empty */
function cards(props, sessions, empty) {
  const { model: { sessions: { items, problem } }, actions } = props;
  if (problem && !items) return h(Failed, { title: t('desktops.unread'), problem, onRetry: () => void actions.readSessions() });
  if (!items) return h('ul', { class: 'cards', 'aria-busy': 'true', 'aria-label': t('desktops.reading') }, ...[1, 2, 3].map((key) => h('li', { key, class: 'desk ghost' })));
  if (sessions.length === 0) return empty();
  return h('ul', { class: 'cards' }, ...sessions.map((session) => h(Desk, { key: session.id, session, ...props })));
}

/** An invitation. @param {Props} props */
const FirstDesktop = ({ actions, model }) => h('div', { class: 'empty invite' },
  h('span', { class: 'glyph' }, icon('screen')),
  h('h2', null, t('desktops.first')),
  h('p', null, t('desktops.first-hint')),
  h('button', { type: 'button', class: 'button primary large', disabled: model.acting.has('new'), onClick: () => actions.startFirst() }, icon('play'), t('desktops.first-go')),
  h('button', { type: 'button', class: 'button', onClick: () => actions.openNew() }, t('new.with-files')));

/** Who came by a one-time sign-in has no way back. @param {Model} model @param {Actions} actions */
const passwordNote = ({ me }, actions) => me && !me.has_password && h('div', { class: 'banner', role: 'note' },
  icon('key'),
  h('p', null, h('b', null, t('password.none')), ' ', t('password.none-hint')),
  h('button', { type: 'button', class: 'button', onClick: () => actions.openPassword() }, t('password.set')));

/** @param {{ session: Session, model: Model, actions: Actions }} props */
function Desk({ session, model, actions }) {
  const { id, state, viewers } = session;
  const name = titled(session);
  const can = offers(state);
  const isMaster = mayManage(session);
  const isActing = model.acting.has(id);
  return h('li', { class: 'desk', 'data-tone': stateTone(state), 'data-session': id, 'data-state': state, 'aria-labelledby': `d-${id}` },
    h(Screen, { session, actions }),
    h('div', { class: 'desk-body' },
      h('h3', { id: `d-${id}`, title: name }, isMaster ? h('a', { href: `#desktop/${id}` }, name) : name),
      h('p', { class: 'soft clip' }, about(session, model)),
      h('p', { class: 'desk-state' },
        h('span', { class: 'state', 'data-tone': stateTone(state) }, icon(`state-${stateTone(state)}`), stateSentence(session)),
        viewers > 0 && h('span', { class: 'watching' }, icon('eye'), t('desktops.watching', { count: viewers }))),
      state === 'queued' && h('p', { class: 'soft' }, t('line.hint')),
      state === 'failed' && session.reason && h('p', { class: 'reason' }, session.reason)),
    h('div', { class: 'desk-actions' },
      h(Main, { session, actions, isActing }),
      isMaster && h('button', { type: 'button', class: 'button', 'aria-label': t('desktops.share-name', { name }), onClick: () => actions.openShare(id) }, icon('share'), t('project.share')),
      h('span', { class: 'push' }),
      isMaster && can.stop && h(IconButton, { label: t('desktops.stop-name', { name }), icon: 'stop', disabled: isActing, onClick: () => actions.openStop(id) }),
      isMaster && moreButton(session),
      isMaster && h(IconButton, { label: t('people.delete-name', { name }), icon: 'bin', disabled: isActing, onClick: () => void actions.remove(id) }),
      isMaster && more(session, actions, isActing)));
}

/** @param {Session} session */
export const mayManage = ({ role }) => role === 'owner' || role === 'admin';

/** What it shows, as far as there is anything to see. @param {{ session: Session, actions: Actions }} props */
export function Screen({ session, actions }) {
  const { id, state, queue } = session;
  const inside = [
    h('span', { key: 'glyph', class: 'desk-glyph' }, queue ? h('b', { class: 'desk-place' }, String(queue.position)) : icon('screen')),
    h(Still, { key: 'still', session, actions }),
  ];
  const attributes = { class: 'desk-screen', 'data-paper': wallpaper(id), 'aria-hidden': 'true' };
  // The same as the button says, for who points.
  return offers(state).open ? h('a', { ...attributes, key: 'a', href: actions.desktop(id), tabindex: -1 }, ...inside) : h('div', { ...attributes, key: 'div' }, ...inside);
}

/** What is done seldom. @param {Session} session @param {Actions} actions @param {boolean} isActing */
function more(session, actions, isActing) {
  const { id, state, role } = session;
  const name = titled(session);
  const menu = `more-${id}`;
  const can = offers(state);
  const item = (/** @type {keyof typeof import('./icons.js').ICONS} */ glyph, /** @type {import('../words.js').TextKey} */ word, /** @type {() => void} */ act) => (
    h('button', { type: 'button', class: 'item', disabled: isActing, onClick: () => { hide(menu); act(); } }, icon(glyph), t(word)));
  return h('div', { id: menu, class: 'popover more', popover: 'auto', role: 'group', 'aria-label': t('desktops.more-name', { name }) },
    h('a', { class: 'item', href: `#desktop/${id}`, onClick: () => hide(menu) }, icon('list'), t('more.details')),
    session.can_pause && can.pause && item('pause', 'more.pause', () => void actions.pause(id)),
    can.open && item('update', 'more.restart', () => actions.openRestart(id)),
    item('pen', 'more.rename', () => actions.openRename(id)),
    role === 'owner' && item('copy', 'more.duplicate', () => actions.openDuplicate(id)),
    item('clock', 'more.snapshots', () => actions.openSnapshots(id)),
    can.reset && item('broom', 'more.reset', () => actions.openReset(id)));
}

/** @param {Session} session */
function moreButton(session) {
  const label = t('desktops.more-name', { name: titled(session) });
  const menu = `more-${session.id}`;
  return h('button', {
    type: 'button', class: 'icon-button', popovertarget: menu, 'aria-label': label, title: label,
    onClick: (/** @type {MouseEvent} */ event) => putBeside(menu, event.currentTarget),
  }, icon('more'));
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
  if (can.open) return h('a', { class: 'button primary', href: actions.desktop(id), 'aria-label': t('desktops.open-name', { name }) }, icon('open'), t(role === 'view' ? 'desktops.watch' : 'desktops.open'));
  if (can.start && mayManage(session)) return h('button', { type: 'button', class: 'button primary', disabled: isActing, 'aria-label': t('desktops.start-name', { name }), onClick: () => void actions.start(id) }, icon('play'), t('desktops.start'));
  return h('button', { type: 'button', class: 'button primary', disabled: true }, t(can.start ? 'desktops.rests' : BUSY[state] ?? 'desktops.starting'));
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
