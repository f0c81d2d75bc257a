/** What differs between two versions of a template, and what becomes of the desktop, before it is done. */

import { h } from '../../vendor/preact/preact.mjs';
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
  return h(Modal, { title, class: 'share review', model, actions: { close, dismiss: actions.dismiss } },
    h(Differences, { lines }),
    what === 'look'
      ? h('div', { class: 'modal-foot' }, h('button', { type: 'button', class: 'button', ...FIRST, onClick: close }, t('template.close')))
      : h('form', {
        onSubmit: (/** @type {SubmitEvent} */ event) => {
          const restart = event.submitter instanceof HTMLButtonElement && event.submitter.value === 'restart';
          onApply(restart, (filledIn(event).note ?? '').trim());
        },
      },
      h('p', { class: 'question' }, t(runs ? 'template.runs' : 'template.rests'), ' ', t('template.snapshot')),
      what === 'apply' && h(Field, { label: t('template.note'), name: 'note', maxlength: 200, autocomplete: 'off', hint: t('template.note-hint') }),
      h(Trouble, { problem }),
      isBusy && h('p', { class: 'soft', role: 'status' }, t('template.busy')),
      h('div', { class: 'modal-foot' },
        h('button', { type: 'button', class: 'button', disabled: isBusy, ...FIRST, onClick: close }, t('template.cancel')),
        h('button', { class: runs ? 'button' : 'button primary', disabled: isBusy, value: 'apply' }, t(isBack ? 'template.back' : 'template.apply')),
        runs && h('button', { class: 'button primary', disabled: isBusy, value: 'restart' }, t(isBack ? 'template.back-restart' : 'template.apply-restart')))));
}

/** @param {{ lines: Line[] }} props */
function Differences({ lines }) {
  const all = pieces(lines);
  const { gone, fresh } = count(lines);
  return h('section', { class: 'differences', 'aria-label': t('template.diff') },
    h('p', { class: 'soft' }, all.length === 0 ? t('template.same') : t('template.count', { fresh, gone })),
    all.length > 0 && h('div', { class: 'diff', tabindex: 0, role: 'group', 'aria-label': t('template.diff') },
      ...all.map((piece, at) => h('table', { key: at }, h('tbody', null, ...piece.map(row))))));
}

const SIGNS = Object.freeze({ same: ' ', gone: '−', new: '+' });

/** @param {Line} line @param {number} at */
const row = ({ kind, text, before, after }, at) => h('tr', { key: at, 'data-kind': kind },
  h('td', { class: 'number' }, before || ''), h('td', { class: 'number' }, after || ''),
  h('td', { class: 'sign' }, h('span', { 'aria-hidden': 'true' }, SIGNS[kind]), kind !== 'same' && h('span', { class: 'away' }, t(kind === 'gone' ? 'template.gone-line' : 'template.new-line'))),
  h('td', { class: 'text' }, text || ' '));
