/** What differs between two versions of a template, and what becomes of the desktop, before it is done. */

import { html } from '../html.js';
import { compare, count, pieces } from '../lines.js';
import { offers, t } from '../words.js';
import { FIRST, Field, Modal, Trouble, filledIn } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Model, Problem, Session } from '../types.js' */
/** @import { TemplateModel, TemplateReview } from '../kept.js' */
/** @import { Line } from '../lines.js' */

/**
 * @param {{ review: TemplateReview, session: Session, model: Model, actions: Actions, busy: TemplateModel['busy'],
 *   problem: Problem | null, onBack: () => void, onApply: (restart: boolean, note: string) => void }} props
 */
export function Review({ review: { what, number, from, to }, session, model, actions, busy, problem, onBack, onApply }) {
  const lines = compare(from, to);
  const title = what === 'apply' ? t('template.review-title') : t(what === 'back' ? 'template.back-title' : 'template.look-title', { number });
  const isBusy = busy === 'apply' || busy === 'restart';
  const close = () => { if (!isBusy) onBack(); };
  const runs = session.state === 'starting' || offers(session.state).open;
  const isBack = what === 'back';
  return html`<${Modal} title=${title} class="share review" model=${model} actions=${{ close, dismiss: actions.dismiss }}>
    <${Differences} lines=${lines} />
    ${what === 'look'
      ? html`<div class="modal-foot"><button type="button" class="button" ...${FIRST} onClick=${close}>${t('template.close')}</button></div>`
      : html`<form
        onSubmit=${(/** @type {SubmitEvent} */ event) => {
          const restart = event.submitter instanceof HTMLButtonElement && event.submitter.value === 'restart';
          onApply(restart, (filledIn(event).note ?? '').trim());
        }}
      >
      <p class="question">${t(runs ? 'template.runs' : 'template.rests')}${' '}${t('template.snapshot')}</p>
      ${what === 'apply' && html`<${Field} label=${t('template.note')} name="note" maxlength=${200} autocomplete="off" hint=${t('template.note-hint')} />`}
      <${Trouble} problem=${problem} />
      ${isBusy && html`<p class="soft" role="status">${t('template.busy')}</p>`}
      <div class="modal-foot">
        <button type="button" class="button" disabled=${isBusy} ...${FIRST} onClick=${close}>${t('template.cancel')}</button>
        <button class=${runs ? 'button' : 'button primary'} disabled=${isBusy} value="apply">${t(isBack ? 'template.back' : 'template.apply')}</button>
        ${runs && html`<button class="button primary" disabled=${isBusy} value="restart">${t(isBack ? 'template.back-restart' : 'template.apply-restart')}</button>`}
      </div>
      </form>`}
  <//>`;
}

/** @param {{ lines: Line[] }} props */
function Differences({ lines }) {
  const all = pieces(lines);
  const { gone, fresh } = count(lines);
  return html`<section class="differences" aria-label=${t('template.diff')}>
    <p class="soft">${all.length === 0 ? t('template.same') : t('template.count', { fresh, gone })}</p>
    ${all.length > 0 && html`<div class="diff" tabindex=${0} role="group" aria-label=${t('template.diff')}>
      ${all.map((piece, at) => html`<table key=${at}><tbody>${piece.map(row)}</tbody></table>`)}
    </div>`}
  </section>`;
}

const SIGNS = Object.freeze({ same: ' ', gone: '−', new: '+' });

/** @param {Line} line @param {number} at */
const row = ({ kind, text, before, after }, at) => html`<tr key=${at} data-kind=${kind}>
  <td class="number">${before || ''}</td><td class="number">${after || ''}</td>
  <td class="sign"><span aria-hidden="true">${SIGNS[kind]}</span>${kind !== 'same' && html`<span class="away">${t(kind === 'gone' ? 'template.gone-line' : 'template.new-line')}</span>`}</td>
  <td class="text">${text || ' '}</td>
</tr>`;
