/** A text with the numbers of its lines, and marks where something is wrong with one. */

import { Component } from '../../vendor/preact/preact.mjs';
import { html } from '../html.js';
import { offsetOf } from '../lines.js';

const INDENT = '  ';

/**
 * @typedef {{ label: string, describedBy: string, text: string, readonly: boolean, isBad: boolean,
 *   faults: ReadonlyMap<number, string>, onType: (text: string) => void, hold: (editor: Editor | null) => void }} EditorProps
 * @extends {Component<EditorProps>}
 */
export class Editor extends Component {
  /** @type {HTMLTextAreaElement | null} */
  #area = null;
  /** @type {HTMLElement | null} */
  #behind = null;
  /** Whether the next Tab leaves. */
  #leaves = false;

  componentDidMount() {
    this.props.hold(this);
  }

  componentWillUnmount() {
    this.props.hold(null);
  }

  componentDidUpdate() {
    this.#follow();
  }

  focus() {
    this.#area?.focus({ preventScroll: true });
  }

  /** Puts the caret at the beginning of a line, and selects it. @param {number} line from 1 */
  goTo(line) {
    const area = this.#area;
    if (!area) return;
    const start = offsetOf(area.value, line);
    const end = area.value.indexOf('\n', start);
    area.focus();
    area.setSelectionRange(start, end < 0 ? area.value.length : end);
    const height = Number.parseFloat(getComputedStyle(area).lineHeight);
    area.scrollTop = Math.max((line - 1) * height - area.clientHeight / 3, 0);
    area.scrollLeft = 0;
    this.#follow();
  }

  /** Numbers and marks move with the text. */
  #follow() {
    if (this.#area && this.#behind) this.#behind.style.transform = `translateY(${-this.#area.scrollTop}px)`;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === 'Escape') this.#leaves = true;
    else if (event.key === 'Tab') this.#tab(event);
    else if (event.key !== 'Shift') {
      this.#leaves = false;
      if (event.key === 'Enter' && !event.isComposing && !event.ctrlKey && !event.metaKey) this.#enter(event);
    }
  }

  /** @param {KeyboardEvent} event */
  #tab(event) {
    const area = this.#area;
    if (!area || this.#leaves || this.props.readonly || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const { value, selectionStart: from, selectionEnd: to } = area;
    if (!event.shiftKey && from === to) return insert(area, INDENT);
    // Whole lines, as they are selected.
    const start = value.lastIndexOf('\n', from - 1) + 1;
    const lines = value.slice(start, to).split('\n');
    const moved = lines.map((line) => (event.shiftKey ? line.replace(/^ {1,2}/, '') : INDENT + line)).join('\n');
    if (moved === value.slice(start, to)) return undefined;
    area.setSelectionRange(start, to);
    insert(area, moved);
    if (from !== to) area.setSelectionRange(start, start + moved.length);
    return undefined;
  }

  /** The next line begins where this one does. @param {KeyboardEvent} event */
  #enter(event) {
    const area = this.#area;
    if (!area || this.props.readonly) return;
    const { value, selectionStart: from } = area;
    const before = value.slice(value.lastIndexOf('\n', from - 1) + 1, from);
    const indent = /^ */.exec(before)?.[0] ?? '';
    const deeper = /:\s*$/.test(before) ? INDENT : '';
    if (indent + deeper === '') return;
    event.preventDefault();
    insert(area, `\n${indent}${deeper}`);
  }

  render() {
    const { label, describedBy, text, readonly, isBad, faults, onType } = this.props;
    const lines = text.split('\n').length;
    return html`<div class="editor" style=${{ '--digits': String(lines).length }}>
      <div class="editor-lines" aria-hidden="true">
        <div ref=${(/** @type {HTMLElement | null} */ behind) => { this.#behind = behind; }}>
          ${Array.from({ length: lines }, (_, at) => html`<div key=${at} title=${faults.get(at + 1)} ...${faults.has(at + 1) && { 'data-fault': '' }}>${at + 1}</div>`)}
        </div>
      </div>
      <textarea
        aria-label=${label} aria-describedby=${describedBy} aria-invalid=${String(isBad)} value=${text} readonly=${readonly} wrap="off" rows=${18}
        spellcheck=${false} autocapitalize="off" autocomplete="off" autocorrect="off"
        ref=${(/** @type {HTMLTextAreaElement | null} */ area) => { this.#area = area; }}
        onInput=${() => onType(this.#area?.value ?? '')} onScroll=${() => this.#follow()} onFocus=${() => { this.#leaves = false; }}
        onKeyDown=${(event) => this.#key(event)}
      />
    </div>`;
  }
}

/** As if it had been typed, so that it can be undone. @param {HTMLTextAreaElement} area @param {string} text */
function insert(area, text) {
  if (document.execCommand(text === '' ? 'delete' : 'insertText', false, text)) return;
  area.setRangeText(text, area.selectionStart, area.selectionEnd, 'end');
  area.dispatchEvent(new Event('input', { bubbles: true }));
}
