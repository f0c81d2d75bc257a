/** The whole page for who is there. */

import { h } from '../../vendor/preact/preact.mjs';
import { called } from '../state.js';
import { t } from '../words.js';
import { Apps } from './catalogue.js';
import { All, Mine } from './desktops.js';
import { Dialogs } from './dialogs.js';
import { Machine } from './machine.js';
import { Avatar, Countdown, Toast, icon } from './parts.js';
import { People } from './people.js';
import { Project } from './project.js';
import { Away, SignIn } from './signin.js';

/** @import { Actions } from '../main.js' */
/** @import { Me, Model, Tab } from '../types.js' */

/** @typedef {{ model: Model, actions: Actions }} Props */

/** What people have who administer nothing. @type {readonly Tab[]} */
const EVERYBODYS = ['mine', 'apps'];
/** @type {readonly (readonly [Tab, import('../words.js').TextKey])[]} */
const TABS = [['mine', 'desktops.mine'], ['apps', 'apps.title'], ['all', 'desktops.all'], ['people', 'people.title'], ['machine', 'machine.title']];

/** @param {Props} props */
export function Page(props) {
  const { model, actions } = props;
  return [
    h(Body, { key: 'body', ...props }),
    h(Dialogs, { key: 'dialogs', ...props }),
    h('p', { key: 'said', class: 'away', role: 'status' }, model.said),
    h('div', { key: 'update', role: 'status' }, h(Update, props)),
    !model.dialog && h(Toast, { key: 'toast', model, dismiss: actions.dismiss, recover: (id) => void actions.recover(id) }),
  ];
}

/** The server has newer pages: said at the edge, and not again once it was put off. @param {Props} props */
function Update({ model: { phase, update, putOff }, actions }) {
  const isAway = phase === 'checking' || phase === 'away';
  if (isAway || update === '' || update === putOff) return null;
  return h('div', { class: 'update' },
    icon('update'), h('span', null, t('page.update')),
    h('button', { type: 'button', class: 'button primary small', onClick: actions.reload }, t('page.load-again')),
    h('button', { type: 'button', class: 'icon-button', 'aria-label': t('common.not-now'), title: t('common.not-now'), onClick: actions.putOffUpdate }, icon('close')));
}

/** @param {Props} props */
function Body(props) {
  const { model } = props;
  switch (model.phase) {
    case 'checking': return null;
    case 'away': return h(Away, props);
    case 'out': return h(SignIn, props);
    case 'in': return h('div', { class: 'page' }, h(Header, props), h(Offline, props), h(Content, props));
  }
}

/** @param {Props} props */
function Content(props) {
  switch (props.model.tab) {
    case 'mine': return h(Mine, props);
    case 'apps': return h(Apps, props);
    case 'all': return h(All, props);
    case 'people': return h(People, props);
    case 'machine': return h(Machine, props);
    case 'desktop': return h(Project, { ...props, key: props.model.subject });
  }
}

/** @param {Props} props */
function Header({ model, actions }) {
  const { me, tab } = model;
  return h('header', { class: 'top' },
    h('a', { class: 'brand', href: '#mine', 'aria-label': t('page.brand') }, h('span', { class: 'mark', 'aria-hidden': 'true' }), h('span', { class: 'brand-word' }, t('page.product'))),
    me && h('nav', { 'aria-label': t('page.main') }, ...TABS.filter(([name]) => me.role === 'admin' || EVERYBODYS.includes(name)).map(([name, word]) => (
      h('a', { key: name, href: `#${name}`, ...(name === tab && { 'aria-current': 'page' }) }, t(word))))),
    h('span', { class: 'push' }),
    me && account(me, actions));
}

/** @param {Me} me @param {Actions} actions */
const account = (me, actions) => [
  h('button', { type: 'button', class: 'account', popovertarget: 'account', 'aria-label': t('page.account-of', { name: called(me) }) },
    h(Avatar, { name: called(me) }), h('span', { class: 'account-name clip' }, called(me)), icon('down')),
  h('div', { id: 'account', class: 'popover', popover: 'auto', role: 'group', 'aria-label': t('page.account') },
    h('p', { class: 'popover-head' }, h('b', { class: 'clip' }, called(me)), h('span', { class: 'soft clip' }, me.role === 'admin' ? t('page.name-admin', { name: me.name }) : me.name)),
    h('button', { type: 'button', class: 'item', onClick: () => { hideAccount(); actions.openPassword(); } }, icon('key'), t(me.has_password ? 'password.change' : 'password.set')),
    h('button', { type: 'button', class: 'item', onClick: () => { hideAccount(); void actions.signOut(); } }, icon('door'), t('page.sign-out'))),
];

/** Before anything opens from it, so that the focus goes back to the button. */
function hideAccount() {
  const popover = document.getElementById('account');
  if (popover?.matches(':popover-open')) popover.hidePopover();
}

/** What is on the page may be old. @param {Props} props */
function Offline({ model, actions }) {
  const { live, sessions } = model;
  const isLost = live.state === 'lost';
  const isOld = sessions.problem !== null && sessions.items !== null;
  if (!isLost && !isOld) return null;
  return h('div', { class: 'offline', role: 'status' },
    icon('signal'),
    h('span', null, t(isLost ? 'page.lost' : 'page.old')),
    isLost && h('span', { class: 'soft', 'aria-hidden': 'true' }, h(Countdown, { until: live.retryAt, draw: (seconds) => (seconds > 0 ? t('page.trying-in', { seconds }) : t('page.trying')) })),
    h('button', { type: 'button', class: 'button small', onClick: () => actions.hurry() }, t('page.try-now')));
}
