/** The dialog that makes a desktop: of which kind, and what it begins with. */

import { builder } from '../builds.js';
import { html } from '../html.js';
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
  return html`<${Modal} title=${t('new.title')} model=${model} actions=${actions}>
    <form
      onSubmit=${(event) => {
        const form = event.currentTarget;
        const { name = '', template = '', url = '' } = filledIn(event);
        const field = form instanceof HTMLFormElement ? form.elements.namedItem('zip') : null;
        const file = (field instanceof HTMLInputElement && field.files?.[0]) || null;
        void actions.begin({ template, name: name.trim(), url: url.trim(), file });
      }}
    >
    <fieldset class="plain" disabled=${busy} aria-label=${t('new.title')}>
      <${Field} label=${t('new.name')} name="name" maxlength=${64} autocomplete="off" placeholder=${t('new.example')} ...${FIRST} hint=${t('new.name-hint')} />
      <fieldset class="choices in-a-row">
        <legend>${t('new.origin')}</legend>
        ${ORIGINS.map((one) => html`<label key=${one} class="choice">
          <input type="radio" name="origin" value=${one} checked=${one === origin} onChange=${() => actions.setOrigin(one)} />
          <span><b>${t(`new.from-${one}`)}</b></span>
        </label>`)}
      </fieldset>
      ${origin === 'git' && html`<${Field}
        key="git" label=${t('new.url')} name="url" type="url" required maxlength=${1024} autocomplete="off" spellcheck=${false}
        placeholder=${t('new.url-example')} hint=${t('new.url-hint')}
      />`}
      ${origin === 'zip' && html`<${Field}
        key="zip" label=${t('new.zip')} name="zip" type="file" required accept=".zip,application/zip" hint=${t('new.zip-hint')}
      />`}
      <fieldset class="choices">
        <legend>${t('new.kind')}</legend>
        ${model.templates.map(({ id, title, summary, missing_images }, at) => html`<label key=${id} class="choice">
          <input type="radio" name="template" value=${id} defaultChecked=${at === 0} required />
          <span><b>${title}</b><small>${summary}</small>${lacks(missing_images, model)}</span>
        </label>`)}
      </fieldset>
    </fieldset>
    ${isComing && html`<${Progress} dialog=${dialog} />`}
    ${dialog.made && dialog.problem && html`<p class="hint">${t('new.made-only', { folder: dialog.made.folder })}</p>`}
    <${Trouble} problem=${dialog.problem} />
    <div class="modal-foot">
      <button type="button" class="button" onClick=${isComing ? actions.stopBeginning : actions.close}>${t(isComing ? 'new.stop' : 'new.cancel')}</button>
      <button class="button primary" disabled=${busy || model.templates.length === 0}>${icon('play')}${t(busy ? 'new.busy' : 'new.go')}</button>
    </div>
    </form>
  <//>`;
}

/** Commands, which are the same in every language. @param {readonly string[]} names */
const build = (names) => `make images APPS="${names.join(' ')}"`;

/** @param {string} image */
const fetchOf = (image) => `docker pull ${image}`;

/** What of it is not on the machine, and how it gets there. @param {readonly string[] | undefined} images @param {Model} model */
function lacks(images = [], { me, builds }) {
  if (images.length === 0) return [];
  if (me?.role !== 'admin') return [html`<small key="lacks" class="warn">${t('new.lacks')}</small>`];
  const own = images.filter((image) => image.startsWith('lattice/') && !builder(builds, image)).map((image) => image.slice('lattice/'.length));
  const others = images.filter((image) => !image.startsWith('lattice/'));
  return [
    html`<${Coming} key="coming" builds=${builds} images=${images} />`,
    own.length > 0 && html`<small key="build" class="warn">${t('new.lacks-build')}${' '}<code class="mono">${build(own)}</code></small>`,
    ...others.map((image) => html`<small key=${image} class="warn">${t('new.lacks-fetch')}${' '}<code class="mono">${fetchOf(image)}</code></small>`),
  ];
}

/** @param {{ dialog: NewDialog }} props */
function Progress({ dialog: { step, sent, total } }) {
  const isSending = step === 'sending';
  const words = isSending ? t('new.sending', { sent: amount(sent), total: amount(total) }) : t(step === 'cloning' ? 'new.cloning' : 'new.unpacking');
  return html`<div class="progress">
    <progress aria-label=${t('new.progress')} ...${isSending && { max: total, value: sent }} />
    <p class="hint" role="status">${words}</p>
  </div>`;
}
