/** The question before something happens to an app: what it may do, or will be able to. */

import { h } from '../../vendor/preact/preact.mjs';
import { amount, t } from '../words.js';
import { Powers } from './catalogue.js';
import { FIRST, Modal, Trouble, icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { AppDialog } from '../apps.js' */
/** @import { Model, Problem } from '../types.js' */

/** @typedef {{ model: Model, dialog: AppDialog & { busy: boolean, problem: Problem | null }, actions: Actions }} Props */

/** @param {Props} props */
export function AskAboutApp({ model, dialog, actions }) {
  const { verb, app, audience, busy, problem } = dialog;
  const version = versionOf(dialog);
  return h(Modal, { title: t(`apps.${verb}-title`, { name: app.title, version }), model, actions },
    h('p', { class: 'question' }, t(`apps.ask-${verb}-${audience}`)),
    h(Changes, { dialog }),
    h(Trouble, { problem }),
    h('div', { class: 'modal-foot' },
      h('button', { type: 'button', class: 'button', ...FIRST, onClick: actions.close }, t('new.cancel')),
      h('button', { type: 'button', class: `button ${verb === 'remove' ? 'danger solid' : 'primary'}`, disabled: busy, onClick: () => void actions.settleApp(audience) },
        t(busy ? 'apps.busy' : `apps.${verb}-verb`))));
}

/** @param {AppDialog} dialog */
function versionOf({ verb, app, audience }) {
  const installed = audience === 'all' ? app.everybody : app.mine;
  if (verb === 'rollback') return installed?.previous?.version ?? '';
  return verb === 'remove' ? installed?.version ?? '' : app.offer?.version ?? '';
}

/** What it may do then that it may not now. @param {{ dialog: AppDialog }} props */
function Changes({ dialog: { verb, app, audience } }) {
  const installed = audience === 'all' ? app.everybody : app.mine;
  const next = h('p', { class: 'hint' }, t('apps.next-start'));
  switch (verb) {
    case 'remove': return next;
    case 'install': return [
      h(Powers, { powers: app.offer?.powers ?? [], title: t('apps.can') }),
      h('p', { class: 'hint' }, t('apps.from', { size: amount(app.offer?.size_bytes ?? 0), source: app.offer?.image ?? '' })), next];
    case 'update': return [h(More, { adds: installed?.adds ?? [] }), next];
    case 'rollback': return [h(More, { adds: installed?.previous?.adds ?? [] }), next];
  }
}

/** @param {{ adds: readonly import('../apps.js').Power[] }} props */
const More = ({ adds }) => (adds.length === 0
  ? h('p', { class: 'same' }, icon('state-good'), h('span', null, t('apps.no-more')))
  : h(Powers, { powers: adds, title: t('apps.more'), isNew: true }));
