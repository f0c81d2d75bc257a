/** Sharing a desktop: a new link, those that live, and who is there. */

import { html } from '../html.js';
import { sessionOf, titled } from '../state.js';
import { LINK_ROLES, left, t, used } from '../words.js';
import { CopyField, FIRST, Modal, Trouble, filledIn, icon } from './parts.js';
import { QrCode } from './qr-code.js';

/** @import { Actions } from '../main.js' */
/** @import { Dialog, Link, LinkRole, Model, Viewer } from '../types.js' */
/** @import { TextKey } from '../words.js' */

/** @typedef {Extract<Dialog, { kind: 'share' }>} ShareDialog */
/** @typedef {{ model: Model, dialog: ShareDialog, actions: Actions }} Props */

const ROLES = /** @type {readonly LinkRole[]} */ (['view', 'assist', 'control']);
/** Seconds, and what they are called. @type {readonly (readonly [number, TextKey])[]} */
export const SPANS = [[3600, 'share.hour'], [28_800, 'share.hours'], [86_400, 'share.day'], [604_800, 'share.week'], [2_592_000, 'share.month']];
export const SPAN_AT_FIRST = 86_400;
/** Nothing means as often as anybody likes. @type {readonly (readonly [string, TextKey])[]} */
const USES = [['1', 'share.once'], ['5', 'share.5-times'], ['30', 'share.30-times'], ['', 'share.any']];
const USES_AT_FIRST = '30';

/** @param {Props} props */
export function Share(props) {
  const { model, dialog, actions } = props;
  const name = titled(sessionOf(model, dialog.session) ?? { name: '' });
  return html`<${Modal} title=${t('desktops.share-name', { name })} class="share" model=${model} actions=${actions}>
    ${dialog.made?.url ? html`<${Made} link=${dialog.made} url=${dialog.made.url} model=${model} actions=${actions} />` : html`<${NewLink} ...${props} />`}
    <${Watching} ...${props} />
    <${Links} ...${props} />
    <${Pages} ...${props} />
  <//>`;
}

/** @param {Props} props */
function NewLink({ dialog, actions }) {
  return html`<form
    class="new-link"
    onSubmit=${(event) => {
      const { role = 'view', span = '', uses = '' } = filledIn(event);
      void actions.makeLink(dialog.session, {
        role: /** @type {LinkRole} */ (role), expires_in_s: Number(span), max_uses: uses === '' ? null : Number(uses),
      });
    }}
  >
  <fieldset class="choices">
    <legend>${t('share.whoever')}</legend>
    ${ROLES.map((role, at) => html`<label key=${role} class="choice">
      <input type="radio" name="role" value=${role} defaultChecked=${at === 0} ...${at === 0 && FIRST} />
      <span><b>${LINK_ROLES[role].title}</b><small>${LINK_ROLES[role].text}</small></span>
    </label>`)}
  </fieldset>
  <div class="two">
    ${choice('span', t('page.span'), SPANS.map(([seconds, word]) => [String(seconds), word]), String(SPAN_AT_FIRST))}
    ${choice('uses', t('share.uses'), USES, USES_AT_FIRST)}
  </div>
  <${Trouble} problem=${dialog.problem} />
  <button class="button primary wide" disabled=${dialog.busy}>${icon('link')}${t(dialog.busy ? 'page.creating' : 'page.create')}</button>
  </form>`;
}

/** @param {string} name @param {string} label @param {readonly (readonly [string, TextKey])[]} options @param {string} first */
const choice = (name, label, options, first) => html`<div class="field">
  <label for="f-${name}">${label}</label>
  <select id="f-${name}" name=${name} class="input">
    ${options.map(([value, word]) => html`<option key=${value} value=${value} defaultSelected=${value === first} selected=${value === first}>${t(word)}</option>`)}
  </select>
</div>`;

/** The one time that the address is shown. @param {{ link: Link, url: string, model: Model, actions: Actions }} props */
const Made = ({ link, url, model, actions }) => html`<section class="made" aria-label=${t('share.new')}>
  <div class="made-text">
    <h3>${t('page.made')}</h3>
    <p class="soft">${`${LINK_ROLES[link.role].text} ${usesWords(link)} ${left(link.expires_at, model.now)}.`}</p>
    <${CopyField} label=${t('share.link')} url=${url} onCopied=${actions.copied} />
    <p class="hint">${t('share.once-shown')}</p>
    <button type="button" class="button small" onClick=${() => actions.openShare(null)}>${icon('plus')}${t('page.another')}</button>
  </div>
  <${QrCode} text=${url} label=${t('share.qr')} />
</section>`;

/** @param {Link} link */
const usesWords = ({ max_uses: most }) => (most === null ? t('share.opens-any') : most === 1 ? t('share.opens-once') : t('share.opens', { most }));

/** @param {Props} props */
function Links({ model, dialog, actions }) {
  const { links } = dialog;
  return html`<section class="rows" aria-labelledby="links-title">
    <h3 id="links-title" tabindex=${-1}>${t('share.links')}</h3>
    ${links === null && html`<p class="soft row-ghost">${t('share.reading')}</p>`}
    ${links?.length === 0 && html`<p class="soft">${t('share.none')}</p>`}
    ${links !== null && links.length > 0 && html`<ul>${links.map((link) => html`<li key=${link.id}>
      <span class="row-main">
        <b>${LINK_ROLES[link.role].title}</b>
        <span class="soft">${`${used(link)}, ${left(link.expires_at, model.now)}${link.from_desktop === true ? `, ${t('link.from-desktop')}` : ''}`}</span>
      </span>
      <button
        type="button" class="button small danger" disabled=${model.acting.has(link.id)}
        aria-label=${t('share.revoke-name', { role: LINK_ROLES[link.role].title.toLowerCase(), used: used(link) })}
        onClick=${() => void actions.revoke(dialog.session, link.id)}
      >${t('page.revoke')}</button>
    </li>`)}</ul>`}
  </section>`;
}

/** What can be shown without the desktop. @param {Props} props */
function Pages({ model, dialog, actions }) {
  // What this desktop is made of may differ from the server's template.
  const apps = sessionOf(model, dialog.session)?.apps ?? [];
  const ports = apps.flatMap(({ ports: all = [] }) => all);
  if (ports.length === 0) return null;
  return html`<section class="rows" aria-labelledby="pages-title">
    <h3 id="pages-title">${t('page.only')}</h3>
    <p class="soft">${t('page.only-text')}</p>
    <ul>${ports.map((port) => html`<li key=${port}>
      <span class="row-main"><b>${t('page.port', { port })}</b></span>
      <button type="button" class="button small" aria-label=${t('page.share-port', { port })} onClick=${() => actions.openSharePage(dialog.session, port)}>${t('page.share')}</button>
    </li>`)}</ul>
  </section>`;
}

/** @param {Props} props */
function Watching({ model, dialog, actions }) {
  const viewers = dialog.viewers ?? [];
  if (viewers.length === 0) return null;
  const mayHand = ['owner', 'admin'].includes(sessionOf(model, dialog.session)?.role ?? '');
  return html`<section class="rows" aria-labelledby="watching-title">
    <h3 id="watching-title">${t('project.people')}</h3>
    <${Viewers} viewers=${viewers} session=${dialog.session} mayHand=${mayHand} actions=${actions} />
  </section>`;
}

/** Who looks, and what one can do about it. @param {{ viewers: readonly Viewer[], session: string, mayHand: boolean, actions: Actions }} props */
export const Viewers = ({ viewers, session, mayHand, actions }) => html`<ul>${viewers.map((viewer) => html`<li key=${viewer.viewer}>
  <span class="row-main">
    <b class="clip">${viewer.name || t('share.guest')}${viewer.you && html`<span class="soft">${' '}${t('common.you')}</span>`}</b>
    <span class="soft">${t(viewer.driving ? 'share.drives' : ABILITIES[viewer.role])}</span>
  </span>
  ${mayHand && hand(viewer, session, actions)}
</li>`)}</ul>`;

/** @type {Readonly<Record<Viewer['role'], TextKey>>} */
const ABILITIES = { owner: 'share.is-owner', admin: 'share.is-admin', view: 'share.may-watch', assist: 'share.may-point', control: 'share.may-control' };

/** @param {Viewer} viewer @param {string} session @param {Actions} actions */
function hand(viewer, session, actions) {
  const name = viewer.name || t('share.guest');
  if (viewer.driving && !viewer.you) {
    return html`<button type="button" class="button small" aria-label=${t('share.take-back-name', { name })} onClick=${() => void actions.giveControl(session, null)}>${t('share.take-back')}</button>`;
  }
  if (viewer.driving || viewer.role === 'view') return null;
  return html`<button type="button" class="button small" aria-label=${t('share.give-name', { name })} onClick=${() => void actions.giveControl(session, viewer.viewer)}>${t('share.give')}</button>`;
}
