/** The dialogs: one at a time. */

import { h } from '../../vendor/preact/preact.mjs';
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
    case 'new': return h(NewDesktop, { model, dialog, actions, key: dialog.kind });
    case 'app': return h(AskAboutApp, { model, dialog, actions, key: dialog.kind });
    case 'share-page': return h(SharePage, { model, dialog, actions, key: `${dialog.kind} ${dialog.port}` });
    case 'share': return h(Share, { model, dialog, actions, key: dialog.kind });
    case 'snapshots': return h(Snapshots, { model, dialog, actions, key: dialog.kind });
    case 'stop': return h(Stop, { model, dialog, actions, key: dialog.kind });
    case 'restart': return h(Restart, { model, dialog, actions, key: dialog.kind });
    case 'rename': return h(Rename, { model, dialog, actions, key: dialog.kind });
    case 'duplicate': return h(Duplicate, { model, dialog, actions, key: dialog.kind });
    case 'reset': return h(Reset, { model, dialog, actions, key: dialog.kind });
    case 'forget': return h(Forget, { model, dialog, actions, key: dialog.kind });
    case 'password': return h(SetPassword, { model, dialog, actions, key: dialog.kind });
    case 'person': return h(NewPerson, { model, dialog, actions, key: dialog.kind });
    case 'invited': return h(Invited, { model, dialog, actions, key: dialog.kind });
    case 'delete-person': return h(DeletePerson, { model, dialog, actions, key: dialog.kind });
  }
}

/** @param {() => void} close @param {Child} go */
const foot = (close, go) => h('div', { class: 'modal-foot' }, h('button', { type: 'button', class: 'button', onClick: close }, t('new.cancel')), go);

/**
 * A question before something that cannot be undone. The answer that changes nothing has the focus.
 * @param {{ title: string, text: string, verb: string, model: Model, dialog: Dialog, actions: Actions, go: () => void }} props
 */
const Confirm = ({ title, text, verb, model, dialog, actions, go }) => h(Modal, { title, model, actions },
  h('p', { class: 'question' }, text),
  h(Trouble, { problem: dialog.problem }),
  h('div', { class: 'modal-foot' },
    h('button', { type: 'button', class: 'button', ...FIRST, onClick: actions.close }, t('new.cancel')),
    h('button', { type: 'button', class: 'button danger solid', disabled: dialog.busy, onClick: go }, verb)));

/** @param {Props<'stop' | 'restart' | 'reset' | 'rename' | 'duplicate'>} props */
const named = ({ model, dialog }) => titled(sessionOf(model, dialog.session) ?? { name: '' });

/** @param {Props<'stop' | 'restart' | 'reset' | 'rename' | 'duplicate'>} props */
const Stop = (props) => h(Confirm, {
  title: t('stop.title', { name: named(props) }), verb: t('project.stop'), ...props,
  text: t('stop.text'),
  go: () => void props.actions.stop(props.dialog.session),
});

/** @param {Props<'stop' | 'restart' | 'reset' | 'rename' | 'duplicate'>} props */
const Reset = (props) => h(Confirm, {
  title: t('reset.title', { name: named(props) }), verb: t('project.reset-title'), ...props,
  text: t('reset.text'),
  go: () => void props.actions.reset(props.dialog.session),
});

/** @param {Props<'stop' | 'restart' | 'reset' | 'rename' | 'duplicate'>} props */
const Restart = (props) => h(Confirm, {
  title: t('restart.title', { name: named(props) }), verb: t('restart.verb'), text: t('restart.text'), ...props,
  go: () => void props.actions.restart(props.dialog.session),
});

/** @param {Props<'forget'>} props */
const Forget = (props) => h(Confirm, {
  title: t('forget.title', { name: titled(props.dialog.thrown) }), verb: t('forget.verb'), text: t('forget.text'), ...props,
  go: () => void props.actions.forget(props.dialog.thrown.id),
});

/** @param {Props<'stop' | 'restart' | 'reset' | 'rename' | 'duplicate'>} props */
const Rename = (props) => h(Modal, { title: t('rename.title', { name: named(props) }), model: props.model, actions: props.actions },
  naming(props, { label: t('rename.label'), name: named(props), hint: '', verb: t(props.dialog.busy ? 'rename.busy' : 'rename.verb') },
    (name) => void props.actions.rename(props.dialog.session, name)));

/** @param {Props<'stop' | 'restart' | 'reset' | 'rename' | 'duplicate'>} props */
const Duplicate = (props) => h(Modal, { title: t('duplicate.title', { name: named(props) }), model: props.model, actions: props.actions },
  h('p', { class: 'question' }, t('duplicate.text')),
  naming(props, { label: t('duplicate.label'), name: t('duplicate.name', { name: named(props).slice(0, 58) }), hint: '', verb: t(props.dialog.busy ? 'duplicate.busy' : 'duplicate.verb') },
    (name) => void props.actions.duplicate(props.dialog.session, name)));

/**
 * A form that asks for a name.
 * @param {{ dialog: Dialog, actions: Actions }} props
 * @param {{ label: string, name: string, hint: string, verb: string }} words
 * @param {(name: string) => void} go
 */
const naming = ({ dialog, actions }, { label, name, hint, verb }, go) => h('form', {
  onSubmit: (event) => { go((filledIn(event).name ?? '').trim()); },
},
h(Field, { label, name: 'name', hint, required: true, maxlength: 64, autocomplete: 'off', defaultValue: name, ...FIRST }),
h(Trouble, { problem: dialog.problem }),
foot(actions.close, h('button', { class: 'button primary', disabled: dialog.busy }, verb)));

/** @param {Props<'delete-person'>} props */
const DeletePerson = ({ model, dialog, actions }) => h(Confirm, {
  title: t('people.delete-title', { name: called(dialog.user) }), verb: t('project.delete'), model, dialog, actions,
  text: t('people.delete-text'),
  go: () => void actions.removePerson(dialog.user),
});

/** @param {Props<'password'>} props */
function SetPassword({ model, dialog, actions }) {
  const has = model.me?.has_password ?? false;
  return h(Modal, { title: t(has ? 'password.change' : 'password.set'), model, actions },
    h('form', {
      onSubmit: (event) => {
        const { current = '', fresh = '' } = filledIn(event);
        void actions.setPassword(has ? current : null, fresh);
      },
    },
    // Password managers want to know whose it is.
    h('input', { class: 'away', name: 'username', autocomplete: 'username', value: model.me?.name ?? '', readonly: true, tabindex: -1, 'aria-hidden': 'true' }),
    has && h(Password, { label: t('password.current'), name: 'current', autocomplete: 'current-password', first: true }),
    h(Password, { label: t('password.new'), name: 'fresh', autocomplete: 'new-password', minlength: 8, first: !has, hint: t('password.hint') }),
    h(Trouble, { problem: dialog.problem }),
    foot(actions.close, h('button', { class: 'button primary', disabled: dialog.busy }, t(dialog.busy ? 'rename.busy' : 'rename.verb')))));
}

/** @param {Props<'person'>} props */
function NewPerson({ model, dialog, actions }) {
  return h(Modal, { title: t('people.add'), model, actions },
    h('form', {
      onSubmit: (event) => {
        const { name = '', display = '', role = 'member' } = filledIn(event);
        void actions.addPerson(name.trim(), display.trim(), role === 'admin' ? 'admin' : 'member');
      },
    },
    h(Field, { label: t('people.name'), name: 'name', required: true, maxlength: 64, autocomplete: 'off', autocapitalize: 'off', spellcheck: false, ...FIRST }),
    h(Field, { label: t('people.display'), name: 'display', maxlength: 64, autocomplete: 'off', hint: t('people.display-hint') }),
    h('label', { class: 'choice' },
      h('input', { type: 'checkbox', name: 'role', value: 'admin' }),
      h('span', null, h('b', null, t('people.admin')), h('small', null, t('people.admin-text')))),
    h('p', { class: 'hint' }, t('people.link-hint')),
    h(Trouble, { problem: dialog.problem }),
    foot(actions.close, h('button', { class: 'button primary', disabled: dialog.busy }, t(dialog.busy ? 'people.adding' : 'people.add-verb')))));
}

/** @param {Props<'invited'>} props */
const Invited = ({ model, dialog, actions }) => h(Modal, { title: t('invited.title', { name: dialog.name }), class: 'share', model, actions },
  h('section', { class: 'made', 'aria-label': t('invited.section') },
    h('div', { class: 'made-text' },
      h('p', { class: 'soft' }, t('invited.text')),
      h(CopyField, { label: t('invited.link'), url: dialog.url, onCopied: actions.copied }),
      h('p', { class: 'hint' }, t('invited.once')),
      h('button', { type: 'button', class: 'button', onClick: actions.close }, t('invited.done'))),
    h(QrCode, { text: dialog.url, label: t('invited.qr') })));
