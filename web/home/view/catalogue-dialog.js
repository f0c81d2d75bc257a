/** The question before something happens to an app: what it may do, or will be able to. */

import { html } from '../html.js';
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
  return html`<${Modal} title=${t(`apps.${verb}-title`, { name: app.title, version })} model=${model} actions=${actions}>
    <p class="question">${t(`apps.ask-${verb}-${audience}`)}</p>
    <${Changes} dialog=${dialog} />
    <${Trouble} problem=${problem} />
    <div class="modal-foot">
      <button type="button" class="button" ...${FIRST} onClick=${actions.close}>${t('new.cancel')}</button>
      <button type="button" class="button ${verb === 'remove' ? 'danger solid' : 'primary'}" disabled=${busy} onClick=${() => void actions.settleApp(audience)}>
        ${t(busy ? 'apps.busy' : `apps.${verb}-verb`)}
      </button>
    </div>
  <//>`;
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
  const next = html`<p class="hint">${t('apps.next-start')}</p>`;
  switch (verb) {
    case 'remove': return next;
    case 'install': return [
      html`<${Powers} powers=${app.offer?.powers ?? []} title=${t('apps.can')} />`,
      html`<p class="hint">${t('apps.from', { size: amount(app.offer?.size_bytes ?? 0), source: app.offer?.image ?? '' })}</p>`, next];
    case 'update': return [html`<${More} adds=${installed?.adds ?? []} />`, next];
    case 'rollback': return [html`<${More} adds=${installed?.previous?.adds ?? []} />`, next];
  }
}

/** @param {{ adds: readonly import('../apps.js').Power[] }} props */
const More = ({ adds }) => (adds.length === 0
  ? html`<p class="same">${icon('state-good')}<span>${t('apps.no-more')}</span></p>`
  : html`<${Powers} powers=${adds} title=${t('apps.more')} isNew />`);
