/** What was thrown away lately, and the way back. */

import { html } from '../html.js';
import { titled } from '../state.js';
import { span, t, wallpaper } from '../words.js';
import { icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Model, Session } from '../types.js' */

/** @typedef {{ model: Model, actions: Actions }} Props */

/** @param {Props} props */
export function Bin(props) {
  const { thrown } = props.model;
  if (thrown.length === 0) return null;
  return html`<section class="bin" aria-labelledby="bin-title">
    <div class="bin-head"><h2 id="bin-title">${t('bin.title')}</h2><p class="soft">${t('bin.hint')}</p></div>
    <ul class="people">${thrown.map((session) => html`<${Thrown} key=${session.id} session=${session} ...${props} />`)}</ul>
  </section>`;
}

/** @param {Props & { session: Session }} props */
function Thrown({ session, model: { now, acting }, actions }) {
  const { id, discarded } = session;
  const name = titled(session);
  const left = (/** @type {string} */ at) => (Date.parse(at) - now) / 1000;
  const programs = discarded?.programs_until ? left(discarded.programs_until) : 0;
  const isActing = acting.has(id);
  return html`<li class="thrown" aria-label=${name}>
    <span class="chip" data-paper=${wallpaper(id)} aria-hidden="true">${icon('screen')}</span>
    <div class="person-name">
      <b class="clip" title=${name}>${name}</b>
      <span class="soft">${programs > 0 && isUp(session) ? t('bin.programs', { span: span(programs) }) : t('bin.until', { span: span(Math.max(left(discarded?.until ?? ''), 0)) })}</span>
    </div>
    <div class="person-actions">
      <button type="button" class="button small" disabled=${isActing} aria-label=${t('bin.recover-name', { name })} onClick=${() => void actions.recover(id)}>${icon('undo')}${t('bin.recover')}</button>
      <button type="button" class="button small danger" disabled=${isActing} aria-label=${t('bin.delete-name', { name })} onClick=${() => actions.openForget(session)}>${t('bin.delete')}</button>
    </div>
  </li>`;
}

/** @param {Session} session */
const isUp = ({ state }) => state === 'running' || state === 'idle';
