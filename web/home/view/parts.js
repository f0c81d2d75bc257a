/** What several views are made of. */

import { Component, h } from '../../vendor/preact/preact.mjs';
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
export const icon = (name) => h('svg', { class: `icon i-${name}`, viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' }, h('path', { d: ICONS[name] }));

/** A button that is only an icon. @param {{ label: string, icon: keyof typeof ICONS, onClick: () => void, disabled?: boolean, tone?: string }} props */
export const IconButton = ({ label, icon: name, onClick, disabled = false, tone = '' }) => (
  h('button', { type: 'button', class: `icon-button ${tone}`, 'aria-label': label, title: label, disabled, onClick }, icon(name)));

/** Two letters in place of a picture. @param {{ name: string }} props */
export const Avatar = ({ name }) => h('span', { class: 'avatar', 'aria-hidden': 'true', 'data-initials': initials(name) });

/** What went wrong, read out at once. @param {{ problem: Problem | null, words?: (problem: Problem) => string }} props */
export const Trouble = ({ problem, words = sentence }) => (
  h('p', { class: 'trouble', role: 'alert' }, problem && icon('alert'), problem && h('span', null, words(problem))));

/** A list that could not be read. @param {{ title: string, problem: Problem, onRetry: () => void }} props */
export const Failed = ({ title, problem, onRetry }) => (
  h('div', { class: 'empty', role: 'alert' },
    h('span', { class: 'glyph', 'data-tone': 'warn' }, icon('signal')),
    h('h3', null, title),
    h('p', null, sentence(problem)),
    h('button', { type: 'button', class: 'button', onClick: onRetry }, t('common.again'))));

/** @param {{ label: string, name: string, hint?: string, [attribute: string]: unknown }} props */
export const Field = ({ label, name, hint = '', ...attributes }) => (
  h('div', { class: 'field' },
    h('label', { for: `f-${name}` }, label),
    h('input', { id: `f-${name}`, name, class: 'input', ...(hint && { 'aria-describedby': `h-${name}` }), ...attributes }),
    hint && h('p', { class: 'hint', id: `h-${name}` }, hint)));

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
    return h('div', { class: 'field' },
      h('label', { for: `f-${name}` }, label),
      h('div', { class: 'with-button' },
        h('input', {
          id: `f-${name}`, name, class: 'input', type: isShown ? 'text' : 'password', required: true,
          spellcheck: false, autocapitalize: 'off', 'aria-describedby': `h-${name}`, ...attributes, ...(first && FIRST),
          onKeyUp: (event) => this.#watch(event), onKeyDown: (event) => this.#watch(event),
        }),
        h('button', {
          type: 'button', class: 'in-field', 'aria-pressed': String(isShown), 'aria-controls': `f-${name}`,
          'aria-label': t('password.show-name', { label: label.toLowerCase() }), title: t(isShown ? 'password.hide' : 'password.show'),
          onClick: () => this.setState({ isShown: !isShown }),
        }, icon(isShown ? 'eye-off' : 'eye'))),
      h('p', { class: isCaps ? 'hint warn' : 'hint', id: `h-${name}`, 'aria-live': 'polite' }, note));
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
    return h('div', { class: 'copy' },
      h('input', {
        class: 'input mono', readonly: true, value: url, 'aria-label': label,
        ref: (/** @type {HTMLInputElement | null} */ input) => { this.#input = input; },
        onClick: () => this.#input?.select(),
      }),
      h('button', { type: 'button', class: 'button primary', ...FIRST, onClick: () => void this.#copy() },
        icon(isCopied ? 'check' : 'copy'), t(isCopied ? 'common.copied' : 'common.copy')));
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
  h('div', { key: `toast-${toast.id}`, class: 'toast', 'data-tone': toast.tone },
    icon(toast.tone === 'stop' ? 'alert' : 'check'), h('span', null, toast.text),
    toast.undo !== '' && !dialog && h('button', { type: 'button', class: 'button small', ref: offer, onClick: () => { dismiss(); recover(toast.undo); } }, t('bin.undo')),
    h('button', { type: 'button', class: 'icon-button', 'aria-label': t('common.dismiss'), onClick: dismiss }, icon('close'))));

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
    return h('dialog', {
      class: `modal ${kind}`, 'aria-labelledby': 'modal-title',
      ref: (/** @type {HTMLDialogElement | null} */ dialog) => { if (dialog) this.#dialog = dialog; },
      onCancel: (event) => { event.preventDefault(); actions.close(); },
    },
    h('header', { class: 'modal-head' },
      h('h2', { id: 'modal-title' }, title),
      h(IconButton, { label: t('common.close'), icon: 'close', onClick: actions.close })),
    h('div', { class: 'modal-body' }, children),
    h('p', { class: 'away', role: 'status' }, model.said),
    h(Toast, { model, dismiss: actions.dismiss }));
  }
}

/** What a form holds. @param {SubmitEvent} event @returns {Record<string, string>} */
export function filledIn(event) {
  event.preventDefault();
  const form = event.currentTarget;
  if (!(form instanceof HTMLFormElement)) return {};
  return Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
}
