/** The whole page for who is there. */

import { html } from '../html.js';
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
    html`<${Body} key="body" ...${props} />`,
    html`<${Dialogs} key="dialogs" ...${props} />`,
    html`<p key="said" class="away" role="status">${model.said}</p>`,
    html`<div key="update" role="status"><${Update} ...${props} /></div>`,
    !model.dialog && html`<${Toast} key="toast" model=${model} dismiss=${actions.dismiss} recover=${(id) => void actions.recover(id)} />`,
  ];
}

/** The server has newer pages: said at the edge, and not again once it was put off. @param {Props} props */
function Update({ model: { phase, update, putOff }, actions }) {
  const isAway = phase === 'checking' || phase === 'away';
  if (isAway || update === '' || update === putOff) return null;
  return html`<div class="update">
    ${icon('update')}<span>${t('page.update')}</span>
    <button type="button" class="button primary small" onClick=${actions.reload}>${t('page.load-again')}</button>
    <button type="button" class="icon-button" aria-label=${t('common.not-now')} title=${t('common.not-now')} onClick=${actions.putOffUpdate}>${icon('close')}</button>
  </div>`;
}

/** @param {Props} props */
function Body(props) {
  const { model } = props;
  switch (model.phase) {
    case 'checking': return null;
    case 'away': return html`<${Away} ...${props} />`;
    case 'out': return html`<${SignIn} ...${props} />`;
    case 'in': return html`<div class="page"><${Header} ...${props} /><${Offline} ...${props} /><${Content} ...${props} /></div>`;
  }
}

/** @param {Props} props */
function Content(props) {
  switch (props.model.tab) {
    case 'mine': return html`<${Mine} ...${props} />`;
    case 'apps': return html`<${Apps} ...${props} />`;
    case 'all': return html`<${All} ...${props} />`;
    case 'people': return html`<${People} ...${props} />`;
    case 'machine': return html`<${Machine} ...${props} />`;
    case 'desktop': return html`<${Project} ...${props} key=${props.model.subject} />`;
  }
}

/** @param {Props} props */
function Header({ model, actions }) {
  const { me, tab } = model;
  return html`<header class="top">
    <a class="brand" href="#mine" aria-label=${t('page.brand')}><span class="mark" aria-hidden="true" /><span class="brand-word">${t('page.product')}</span></a>
    ${me && html`<nav aria-label=${t('page.main')}>${TABS.filter(([name]) => me.role === 'admin' || EVERYBODYS.includes(name)).map(([name, word]) => (
      html`<a key=${name} href="#${name}" ...${name === tab && { 'aria-current': 'page' }}>${t(word)}</a>`))}</nav>`}
    <span class="push" />
    ${me && account(me, actions)}
  </header>`;
}

/** @param {Me} me @param {Actions} actions */
const account = (me, actions) => [
  html`<button type="button" class="account" popovertarget="account" aria-label=${t('page.account-of', { name: called(me) })}>
    <${Avatar} name=${called(me)} /><span class="account-name clip">${called(me)}</span>${icon('down')}
  </button>`,
  html`<div id="account" class="popover" popover="auto" role="group" aria-label=${t('page.account')}>
    <p class="popover-head"><b class="clip">${called(me)}</b><span class="soft clip">${me.role === 'admin' ? t('page.name-admin', { name: me.name }) : me.name}</span></p>
    <button type="button" class="item" onClick=${() => { hideAccount(); actions.openPassword(); }}>${icon('key')}${t(me.has_password ? 'password.change' : 'password.set')}</button>
    <button type="button" class="item" onClick=${() => { hideAccount(); void actions.signOut(); }}>${icon('door')}${t('page.sign-out')}</button>
  </div>`,
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
  return html`<div class="offline" role="status">
    ${icon('signal')}
    <span>${t(isLost ? 'page.lost' : 'page.old')}</span>
    ${isLost && html`<span class="soft" aria-hidden="true"><${Countdown} until=${live.retryAt} draw=${(seconds) => (seconds > 0 ? t('page.trying-in', { seconds }) : t('page.trying'))} /></span>`}
    <button type="button" class="button small" onClick=${() => actions.hurry()}>${t('page.try-now')}</button>
  </div>`;
}
