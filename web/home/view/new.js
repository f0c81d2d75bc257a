/** The dialog that makes a desktop: of which kind, and what it begins with. */

import { h } from '../../vendor/preact/preact.mjs';
import { builder } from '../builds.js';
import { amount, t } from '../words.js';
import { Coming } from './builds.js';
import { FIRST, Field, Modal, Trouble, filledIn, icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Model, NewDialog, Origin } from '../types.js' */
/** @import { Child } from '../../vendor/preact/preact.mjs' */

const ORIGINS = /** @type {readonly Origin[]} */ (['nothing', 'git', 'zip']);

/** @param {{ model: Model, dialog: NewDialog, actions: Actions }} props @returns {Child} */
export function NewDesktop({ model, dialog, actions }) {
  const { origin, busy, step } = dialog;
  // What is under way can be left off until the desktop itself is asked for.
  const isComing = busy && step !== '' && step !== 'starting';
  return h(Modal, { title: t('new.title'), model, actions },
    h('form', {
      onSubmit: (event) => {
        const form = event.currentTarget;
        const { name = '', template = '', url = '' } = filledIn(event);
        const field = form instanceof HTMLFormElement ? form.elements.namedItem('zip') : null;
        const file = (field instanceof HTMLInputElement && field.files?.[0]) || null;
        void actions.begin({ template, name: name.trim(), url: url.trim(), file });
      },
    },
    h('fieldset', { class: 'plain', disabled: busy, 'aria-label': t('new.title') },
      h(Field, { label: t('new.name'), name: 'name', maxlength: 64, autocomplete: 'off', placeholder: t('new.example'), ...FIRST, hint: t('new.name-hint') }),
      h('fieldset', { class: 'choices in-a-row' },
        h('legend', null, t('new.origin')),
        ...ORIGINS.map((one) => h('label', { key: one, class: 'choice' },
          h('input', { type: 'radio', name: 'origin', value: one, checked: one === origin, onChange: () => actions.setOrigin(one) }),
          h('span', null, h('b', null, t(`new.from-${one}`)))))),
      origin === 'git' && h(Field, {
        key: 'git', label: t('new.url'), name: 'url', type: 'url', required: true, maxlength: 1024, autocomplete: 'off', spellcheck: false,
        placeholder: t('new.url-example'), hint: t('new.url-hint'),
      }),
      origin === 'zip' && h(Field, {
        key: 'zip', label: t('new.zip'), name: 'zip', type: 'file', required: true, accept: '.zip,application/zip', hint: t('new.zip-hint'),
      }),
      h('fieldset', { class: 'choices' },
        h('legend', null, t('new.kind')),
        ...model.templates.map(({ id, title, summary, missing_images }, at) => h('label', { key: id, class: 'choice' },
          h('input', { type: 'radio', name: 'template', value: id, defaultChecked: at === 0, required: true }),
          h('span', null, h('b', null, title), h('small', null, summary), ...lacks(missing_images, model)))))),
    isComing && h(Progress, { dialog }),
    dialog.made && dialog.problem && h('p', { class: 'hint' }, t('new.made-only', { folder: dialog.made.folder })),
    h(Trouble, { problem: dialog.problem }),
    h('div', { class: 'modal-foot' },
      h('button', { type: 'button', class: 'button', onClick: isComing ? actions.stopBeginning : actions.close }, t(isComing ? 'new.stop' : 'new.cancel')),
      h('button', { class: 'button primary', disabled: busy || model.templates.length === 0 }, icon('play'), t(busy ? 'new.busy' : 'new.go')))));
}

/** Commands, which are the same in every language. @param {readonly string[]} names */
const build = (names) => `make images APPS="${names.join(' ')}"`;

/** @param {string} image */
const fetchOf = (image) => `docker pull ${image}`;

/** What of it is not on the machine, and how it gets there. @param {readonly string[] | undefined} images @param {Model} model */
function lacks(images = [], { me, builds }) {
  if (images.length === 0) return [];
  if (me?.role !== 'admin') return [h('small', { key: 'lacks', class: 'warn' }, t('new.lacks'))];
  const own = images.filter((image) => image.startsWith('lattice/') && !builder(builds, image)).map((image) => image.slice('lattice/'.length));
  const others = images.filter((image) => !image.startsWith('lattice/'));
  return [
    h(Coming, { key: 'coming', builds, images }),
    own.length > 0 && h('small', { key: 'build', class: 'warn' }, t('new.lacks-build'), ' ', h('code', { class: 'mono' }, build(own))),
    ...others.map((image) => h('small', { key: image, class: 'warn' }, t('new.lacks-fetch'), ' ', h('code', { class: 'mono' }, fetchOf(image)))),
  ];
}

/** @param {{ dialog: NewDialog }} props */
function Progress({ dialog: { step, sent, total } }) {
  const isSending = step === 'sending';
  const words = isSending ? t('new.sending', { sent: amount(sent), total: amount(total) }) : t(step === 'cloning' ? 'new.cloning' : 'new.unpacking');
  return h('div', { class: 'progress' },
    h('progress', { 'aria-label': t('new.progress'), ...(isSending && { max: total, value: sent }) }),
    h('p', { class: 'hint', role: 'status' }, words));
}
