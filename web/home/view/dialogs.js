/** The dialogs: one at a time. */

import { html } from '../html.js';
import { called, sessionOf, titled } from '../state.js';
import { t } from '../words.js';
import { CopyField, FIRST, Field, Modal, Password, Trouble, filledIn } from './parts.js';
import { AskAboutApp } from './catalogue-dialog.js';
import { NewDesktop } from './new.js';
import { QrCode } from './qr-code.js';
import { Share } from './share.js';
import { SharePage } from './share-page.js';
import { Snapshots } from './snapshots.js';

/** @import { Actions } from '../main.js' */
/** @import { Dialog, Model } from '../types.js' */
/** @import { Child } from '../../vendor/preact/preact.mjs' */

/** @template {Dialog['kind']} K @typedef {{ model: Model, dialog: Extract<Dialog, { kind: K }>, actions: Actions }} Props */

/** @param {{ model: Model, actions: Actions }} props @returns {Child} */
export function Dialogs({ model, actions }) {
  const { dialog } = model;
  switch (dialog?.kind) {
    case undefined: return null;
    case 'new': return html`<${NewDesktop} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'app': return html`<${AskAboutApp} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'share-page': return html`<${SharePage} model=${model} dialog=${dialog} actions=${actions} key="${dialog.kind} ${dialog.port}" />`;
    case 'share': return html`<${Share} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'snapshots': return html`<${Snapshots} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'stop': return html`<${Stop} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'restart': return html`<${Restart} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'rename': return html`<${Rename} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'duplicate': return html`<${Duplicate} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'reset': return html`<${Reset} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'forget': return html`<${Forget} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'password': return html`<${SetPassword} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'person': return html`<${NewPerson} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'invited': return html`<${Invited} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
    case 'delete-person': return html`<${DeletePerson} model=${model} dialog=${dialog} actions=${actions} key=${dialog.kind} />`;
  }
}

/** @param {() => void} close @param {Child} go */
const foot = (close, go) => html`<div class="modal-foot"><button type="button" class="button" onClick=${close}>${t('new.cancel')}</button>${go}</div>`;

/**
 * A question before something that cannot be undone. The answer that changes nothing has the focus.
 * @param {{ title: string, text: string, verb: string, model: Model, dialog: Dialog, actions: Actions, go: () => void }} props
 */
const Confirm = ({ title, text, verb, model, dialog, actions, go }) => html`<${Modal} title=${title} model=${model} actions=${actions}>
  <p class="question">${text}</p>
  <${Trouble} problem=${dialog.problem} />
  <div class="modal-foot">
    <button type="button" class="button" ...${FIRST} onClick=${actions.close}>${t('new.cancel')}</button>
    <button type="button" class="button danger solid" disabled=${dialog.busy} onClick=${go}>${verb}</button>
  </div>
<//>`;

/** @param {Props<'stop' | 'restart' | 'reset' | 'rename' | 'duplicate'>} props */
const named = ({ model, dialog }) => titled(sessionOf(model, dialog.session) ?? { name: '' });

/** @param {Props<'stop' | 'restart' | 'reset' | 'rename' | 'duplicate'>} props */
const Stop = (props) => html`<${Confirm}
  title=${t('stop.title', { name: named(props) })} verb=${t('project.stop')} ...${props}
  text=${t('stop.text')}
  go=${() => void props.actions.stop(props.dialog.session)}
/>`;

/** @param {Props<'stop' | 'restart' | 'reset' | 'rename' | 'duplicate'>} props */
const Reset = (props) => html`<${Confirm}
  title=${t('reset.title', { name: named(props) })} verb=${t('project.reset-title')} ...${props}
  text=${t('reset.text')}
  go=${() => void props.actions.reset(props.dialog.session)}
/>`;

/** @param {Props<'stop' | 'restart' | 'reset' | 'rename' | 'duplicate'>} props */
const Restart = (props) => html`<${Confirm}
  title=${t('restart.title', { name: named(props) })} verb=${t('restart.verb')} text=${t('restart.text')} ...${props}
  go=${() => void props.actions.restart(props.dialog.session)}
/>`;

/** @param {Props<'forget'>} props */
const Forget = (props) => html`<${Confirm}
  title=${t('forget.title', { name: titled(props.dialog.thrown) })} verb=${t('forget.verb')} text=${t('forget.text')} ...${props}
  go=${() => void props.actions.forget(props.dialog.thrown.id)}
/>`;

/** @param {Props<'stop' | 'restart' | 'reset' | 'rename' | 'duplicate'>} props */
const Rename = (props) => html`<${Modal} title=${t('rename.title', { name: named(props) })} model=${props.model} actions=${props.actions}>
  ${naming(props, { label: t('rename.label'), name: named(props), hint: '', verb: t(props.dialog.busy ? 'rename.busy' : 'rename.verb') },
    (name) => void props.actions.rename(props.dialog.session, name))}
<//>`;

/** @param {Props<'stop' | 'restart' | 'reset' | 'rename' | 'duplicate'>} props */
const Duplicate = (props) => html`<${Modal} title=${t('duplicate.title', { name: named(props) })} model=${props.model} actions=${props.actions}>
  <p class="question">${t('duplicate.text')}</p>
  ${naming(props, { label: t('duplicate.label'), name: t('duplicate.name', { name: named(props).slice(0, 58) }), hint: '', verb: t(props.dialog.busy ? 'duplicate.busy' : 'duplicate.verb') },
    (name) => void props.actions.duplicate(props.dialog.session, name))}
<//>`;

/**
 * A form that asks for a name.
 * @param {{ dialog: Dialog, actions: Actions }} props
 * @param {{ label: string, name: string, hint: string, verb: string }} words
 * @param {(name: string) => void} go
 */
const naming = ({ dialog, actions }, { label, name, hint, verb }, go) => html`<form
  onSubmit=${(event) => { go((filledIn(event).name ?? '').trim()); }}
>
<${Field} label=${label} name="name" hint=${hint} required maxlength=${64} autocomplete="off" defaultValue=${name} ...${FIRST} />
<${Trouble} problem=${dialog.problem} />
${foot(actions.close, html`<button class="button primary" disabled=${dialog.busy}>${verb}</button>`)}
</form>`;

/** @param {Props<'delete-person'>} props */
const DeletePerson = ({ model, dialog, actions }) => html`<${Confirm}
  title=${t('people.delete-title', { name: called(dialog.user) })} verb=${t('project.delete')} model=${model} dialog=${dialog} actions=${actions}
  text=${t('people.delete-text')}
  go=${() => void actions.removePerson(dialog.user)}
/>`;

/** @param {Props<'password'>} props */
function SetPassword({ model, dialog, actions }) {
  const has = model.me?.has_password ?? false;
  return html`<${Modal} title=${t(has ? 'password.change' : 'password.set')} model=${model} actions=${actions}>
    <form
      onSubmit=${(event) => {
        const { current = '', fresh = '' } = filledIn(event);
        void actions.setPassword(has ? current : null, fresh);
      }}
    >
    <!-- Password managers want to know whose it is. -->
    <input class="away" name="username" autocomplete="username" value=${model.me?.name ?? ''} readonly tabindex=${-1} aria-hidden="true" />
    ${has && html`<${Password} label=${t('password.current')} name="current" autocomplete="current-password" first />`}
    <${Password} label=${t('password.new')} name="fresh" autocomplete="new-password" minlength=${8} first=${!has} hint=${t('password.hint')} />
    <${Trouble} problem=${dialog.problem} />
    ${foot(actions.close, html`<button class="button primary" disabled=${dialog.busy}>${t(dialog.busy ? 'rename.busy' : 'rename.verb')}</button>`)}
    </form>
  <//>`;
}

/** @param {Props<'person'>} props */
function NewPerson({ model, dialog, actions }) {
  return html`<${Modal} title=${t('people.add')} model=${model} actions=${actions}>
    <form
      onSubmit=${(event) => {
        const { name = '', display = '', role = 'member' } = filledIn(event);
        void actions.addPerson(name.trim(), display.trim(), role === 'admin' ? 'admin' : 'member');
      }}
    >
    <${Field} label=${t('people.name')} name="name" required maxlength=${64} autocomplete="off" autocapitalize="off" spellcheck=${false} ...${FIRST} />
    <${Field} label=${t('people.display')} name="display" maxlength=${64} autocomplete="off" hint=${t('people.display-hint')} />
    <label class="choice">
      <input type="checkbox" name="role" value="admin" />
      <span><b>${t('people.admin')}</b><small>${t('people.admin-text')}</small></span>
    </label>
    <p class="hint">${t('people.link-hint')}</p>
    <${Trouble} problem=${dialog.problem} />
    ${foot(actions.close, html`<button class="button primary" disabled=${dialog.busy}>${t(dialog.busy ? 'people.adding' : 'people.add-verb')}</button>`)}
    </form>
  <//>`;
}

/** @param {Props<'invited'>} props */
const Invited = ({ model, dialog, actions }) => html`<${Modal} title=${t('invited.title', { name: dialog.name })} class="share" model=${model} actions=${actions}>
  <section class="made" aria-label=${t('invited.section')}>
    <div class="made-text">
      <p class="soft">${t('invited.text')}</p>
      <${CopyField} label=${t('invited.link')} url=${dialog.url} onCopied=${actions.copied} />
      <p class="hint">${t('invited.once')}</p>
      <button type="button" class="button" onClick=${actions.close}>${t('invited.done')}</button>
    </div>
    <${QrCode} text=${dialog.url} label=${t('invited.qr')} />
  </section>
<//>`;
