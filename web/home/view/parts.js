/** What several views are made of. */

import { Component } from '../../vendor/preact/preact.mjs';
import { html } from '../html.js';
import { ICONS } from './icons.js';
import { sentence } from '../problems.js';
import { initials, t } from '../words.js';

/** @import { Child } from '../../vendor/preact/preact.mjs' */
/** @import { Model, Problem } from '../types.js' */

/** Takes the focus as soon as it is there, in a dialog that is open already. @param {HTMLElement | null} element */
const takeFocus = (element) => { if (element?.closest('dialog[open]')) element.focus(); };

/** What is focused first in a dialog, however long that is open. */
export const FIRST = Object.freeze({ 'data-first': '', ref: takeFocus });

/** @param {keyof typeof ICONS} name */
export const icon = (name) => html`<svg class="icon i-${name}" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${ICONS[name]} /></svg>`;

/** A button that is only an icon. @param {{ label: string, icon: keyof typeof ICONS, onClick: () => void, disabled?: boolean, tone?: string }} props */
export const IconButton = ({ label, icon: name, onClick, disabled = false, tone = '' }) => (
  html`<button type="button" class="icon-button ${tone}" aria-label=${label} title=${label} disabled=${disabled} onClick=${onClick}>${icon(name)}</button>`);

/** Two letters in place of a picture. @param {{ name: string }} props */
export const Avatar = ({ name }) => html`<span class="avatar" aria-hidden="true" data-initials=${initials(name)} />`;

/** What went wrong, read out at once. @param {{ problem: Problem | null, words?: (problem: Problem) => string }} props */
export const Trouble = ({ problem, words = sentence }) => (
  html`<p class="trouble" role="alert">${problem && icon('alert')}${problem && html`<span>${words(problem)}</span>`}</p>`);

/** A list that could not be read. @param {{ title: string, problem: Problem, onRetry: () => void }} props */
export const Failed = ({ title, problem, onRetry }) => (
  html`<div class="empty" role="alert">
    <span class="glyph" data-tone="warn">${icon('signal')}</span>
    <h3>${title}</h3>
    <p>${sentence(problem)}</p>
    <button type="button" class="button" onClick=${onRetry}>${t('common.again')}</button>
  </div>`);

/** @param {{ label: string, name: string, hint?: string, [attribute: string]: unknown }} props */
export const Field = ({ label, name, hint = '', ...attributes }) => (
  html`<div class="field">
    <label for="f-${name}">${label}</label>
    <input id="f-${name}" name=${name} class="input" ...${hint && { 'aria-describedby': `h-${name}` }} ...${attributes} />
    ${hint && html`<p class="hint" id="h-${name}">${hint}</p>`}
  </div>`);

/**
 * A password that can be shown, and a word when Caps Lock is on.
 * @typedef {{ label: string, name: string, autocomplete: string, hint?: string, minlength?: number, first?: boolean }} PasswordProps
 * @extends {Component<PasswordProps, { isShown: boolean, isCaps: boolean }>}
 */
export class Password extends Component {
  /** @param {PasswordProps} props */
  constructor(props) {
    super(props);
    this.state = { isShown: false, isCaps: false };
  }

  /** @param {KeyboardEvent} event */
  #watch(event) {
    const isCaps = event.getModifierState?.('CapsLock') ?? false;
    if (isCaps !== this.state.isCaps) this.setState({ isCaps });
  }

  render() {
    const { label, name, hint = '', first = false, ...attributes } = this.props;
    const { isShown, isCaps } = this.state;
    const note = isCaps ? t('password.caps') : hint;
    return html`<div class="field">
      <label for="f-${name}">${label}</label>
      <div class="with-button">
        <input
          id="f-${name}" name=${name} class="input" type=${isShown ? 'text' : 'password'} required
          spellcheck=${false} autocapitalize="off" aria-describedby="h-${name}" ...${attributes} ...${first && FIRST}
          onKeyUp=${(event) => this.#watch(event)} onKeyDown=${(event) => this.#watch(event)}
        />
        <button
          type="button" class="in-field" aria-pressed=${String(isShown)} aria-controls="f-${name}"
          aria-label=${t('password.show-name', { label: label.toLowerCase() })} title=${t(isShown ? 'password.hide' : 'password.show')}
          onClick=${() => this.setState({ isShown: !isShown })}
        >${icon(isShown ? 'eye-off' : 'eye')}</button>
      </div>
      <p class=${isCaps ? 'hint warn' : 'hint'} id="h-${name}" aria-live="polite">${note}</p>
    </div>`;
  }
}

/**
 * Seconds that pass: draws anew until they are over, and says so then.
 * @typedef {{ until: number, draw: (seconds: number) => Child }} CountdownProps
 * @extends {Component<CountdownProps>}
 */
export class Countdown extends Component {
  #timer = 0;

  componentDidMount() {
    this.#tick();
  }

  componentDidUpdate() {
    this.#tick();
  }

  componentWillUnmount() {
    clearTimeout(this.#timer);
  }

  #left() {
    return Math.max(this.props.until - Date.now(), 0);
  }

  #tick() {
    clearTimeout(this.#timer);
    const left = this.#left();
    if (left > 0) this.#timer = setTimeout(() => this.forceUpdate(), (left % 1000) + 20);
  }

  render() {
    return this.props.draw(Math.ceil(this.#left() / 1000));
  }
}

/**
 * A secret address: read only, with a button that copies it.
 * @typedef {{ label: string, url: string, onCopied: (isCopied: boolean) => void }} CopyProps
 * @extends {Component<CopyProps, { isCopied: boolean }>}
 */
export class CopyField extends Component {
  /** @type {HTMLInputElement | null} */
  #input = null;

  /** @param {CopyProps} props */
  constructor(props) {
    super(props);
    this.state = { isCopied: false };
  }

  async #copy() {
    const isCopied = await copied(this.props.url, this.#input);
    this.setState({ isCopied });
    this.props.onCopied(isCopied);
  }

  render() {
    const { label, url } = this.props;
    const { isCopied } = this.state;
    return html`<div class="copy">
      <input
        class="input mono" readonly value=${url} aria-label=${label}
        ref=${(/** @type {HTMLInputElement | null} */ input) => { this.#input = input; }}
        onClick=${() => this.#input?.select()}
      />
      <button type="button" class="button primary" ...${FIRST} onClick=${() => void this.#copy()}>
        ${icon(isCopied ? 'check' : 'copy')}${t(isCopied ? 'common.copied' : 'common.copy')}
      </button>
    </div>`;
  }
}

/** Whether the text is in the clipboard; where it cannot be, it is left selected. @param {string} text @param {HTMLInputElement | null} input */
async function copied(text, input) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without a secure context there is no other way.
    input?.select();
    return document.execCommand('copy');
  }
}

/** Takes the focus that went with what was thrown away, once. @param {HTMLElement | null} button */
function offer(button) {
  if (button && document.activeElement === document.body && !button.dataset.offered) button.focus({ preventScroll: true });
  if (button) button.dataset.offered = '';
}

/**
 * A word on what was just done, until it has been read.
 * @param {{ model: Model, dismiss: () => void, recover?: (session: string) => void }} props
 */
export const Toast = ({ model: { toast, dialog }, dismiss, recover = () => {} }) => toast && (
  html`<div key="toast-${toast.id}" class="toast" data-tone=${toast.tone}>
    ${icon(toast.tone === 'stop' ? 'alert' : 'check')}<span>${toast.text}</span>
    ${toast.undo !== '' && !dialog && html`<button type="button" class="button small" ref=${offer} onClick=${() => { dismiss(); recover(toast.undo); }}>${t('bin.undo')}</button>`}
    <button type="button" class="icon-button" aria-label=${t('common.dismiss')} onClick=${dismiss}>${icon('close')}</button>
  </div>`);

/**
 * A dialog that is open as long as it is drawn. What the page says is said within it: everything
 * outside is out of reach meanwhile.
 * @typedef {{ title: string, class?: string, model: Model, actions: { close(): void, dismiss(): void },
 *   children?: Child }} ModalProps
 * @extends {Component<ModalProps>}
 */
export class Modal extends Component {
  /** @type {HTMLDialogElement | null} */
  #dialog = null;

  componentDidMount() {
    this.#dialog?.showModal();
    const first = this.#dialog?.querySelector('[data-first]');
    if (first instanceof HTMLElement) first.focus();
  }

  componentWillUnmount() {
    // While it is still there: the focus goes back to where it was.
    this.#dialog?.close();
  }

  render() {
    const { title, class: kind = '', model, actions, children } = this.props;
    return html`<dialog
      class="modal ${kind}" aria-labelledby="modal-title"
      ref=${(/** @type {HTMLDialogElement | null} */ dialog) => { if (dialog) this.#dialog = dialog; }}
      onCancel=${(event) => { event.preventDefault(); actions.close(); }}
    >
    <header class="modal-head">
      <h2 id="modal-title">${title}</h2>
      <${IconButton} label=${t('common.close')} icon="close" onClick=${actions.close} />
    </header>
    <div class="modal-body">${children}</div>
    <p class="away" role="status">${model.said}</p>
    <${Toast} model=${model} dismiss=${actions.dismiss} />
    </dialog>`;
  }
}

/** What a form holds. @param {SubmitEvent} event @returns {Record<string, string>} */
export function filledIn(event) {
  event.preventDefault();
  const form = event.currentTarget;
  if (!(form instanceof HTMLFormElement)) return {};
  return Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
}
