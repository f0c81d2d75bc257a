/**
 * Keyboard events of the canvas, on their way to `client/keyboard.js`.
 *
 * The canvas itself keeps the focus. What dead keys and input methods compose comes through an
 * `EditContext`, or, where the browser has none, through a textarea that stands in for the canvas.
 * Keys of people who only watch, or while no desktop is live, are left to the browser; they still
 * lead to the tools.
 */

import {
  FAKE_CONTROL_MS, apply, flush, initial, modifierBits, reset, textStrokes, watch,
} from '../client/keyboard.js';

/** @import { InputEvent } from '../media/messages.js' */

/**
 * @typedef {{ send(input: InputEvent, at: number): void, isActive(): boolean, leave(): void,
 *   typed(): void }} Sink
 */

/** @returns {import('../client/keyboard.js').Keyboard['platform']} */
function platform() {
  if (/Windows/.test(navigator.userAgent)) return 'windows';
  return /Mac OS X|Macintosh/.test(navigator.userAgent) ? 'mac' : 'other';
}

/** The keyboard of one canvas. */
export class Keys {
  #sink;
  #canvas;
  #keyboard = initial(platform());
  /** Of the keys that do not go to the desktop. */
  #watched = initial(platform());
  #isComposing = false;
  #flushTimer = 0;

  /** @param {HTMLCanvasElement} canvas @param {Sink} sink */
  constructor(canvas, sink) {
    this.#canvas = canvas;
    this.#sink = sink;
    if (window.EditContext) this.#attachEditContext(new window.EditContext());
    else this.#attachTextarea();
    this.#listen(canvas);
    for (const type of /** @type {const} */ (['keydown', 'keyup'])) {
      document.addEventListener(type, (event) => this.#onOther(event));
    }
    const release = () => this.releaseAll();
    canvas.addEventListener('blur', (event) => { if (!this.#isOwn(event.relatedTarget)) release(); });
    window.addEventListener('blur', release);
    window.addEventListener('pagehide', release);
    document.addEventListener('visibilitychange', release);
    document.addEventListener('fullscreenchange', release);
  }

  /** Nothing is held any more, here or there. */
  releaseAll() {
    clearTimeout(this.#flushTimer);
    this.#keyboard = reset(this.#keyboard);
    this.#watched = reset(this.#watched);
    this.#isComposing = false;
    if (this.#sink.isActive()) this.#sink.send({ type: 'releaseAll' }, now());
  }

  /**
   * Presses keys together and lets them go, as the on-screen keys do.
   * @param {readonly { code: string, key: string }[]} keys
   */
  chord(keys) {
    if (!this.#sink.isActive()) return;
    const event = { keyCode: 0, isComposing: false, at: performance.now() };
    let modifiers = 0;
    for (const key of keys) {
      modifiers |= modifierBits((name) => name === key.key);
      this.#handle({ ...event, ...key, down: true, modifiers });
    }
    for (const key of [...keys].reverse()) {
      modifiers &= ~modifierBits((name) => name === key.key);
      this.#handle({ ...event, ...key, down: false, modifiers });
    }
  }

  /** @param {HTMLElement} element */
  #listen(element) {
    element.addEventListener('keydown', (event) => this.#onKey(event, true));
    element.addEventListener('keyup', (event) => this.#onKey(event, false));
  }

  /** The canvas and the textarea that stands in for it trade the focus. @param {EventTarget | null} target */
  #isOwn(target) {
    return target === this.#canvas || (target instanceof Element && target.matches('.composer'));
  }

  /** @param {KeyboardEvent} event @param {boolean} down */
  #onKey(event, down) {
    if (!this.#sink.isActive()) {
      this.#keyboard = reset(this.#keyboard);
      return;
    }
    const handled = this.#handle(this.#record(event, down));
    if (handled) event.preventDefault();
    if (handled) event.stopPropagation();
  }

  /** What the canvas took does not come here. @param {KeyboardEvent} event */
  #onOther(event) {
    const [next, leave] = watch(this.#watched, this.#record(event, event.type === 'keydown'));
    this.#watched = next;
    if (leave) this.#sink.leave();
  }

  /** @param {KeyboardEvent} event @param {boolean} down */
  #record(event, down) {
    return {
      down, code: event.code, key: event.key, keyCode: event.keyCode,
      isComposing: event.isComposing || this.#isComposing,
      modifiers: modifierBits((name) => event.getModifierState(name)), at: event.timeStamp,
    };
  }

  /** @param {import('../client/keyboard.js').KeyRecord} record */
  #handle(record) {
    const [next, outcome] = apply(this.#keyboard, record);
    this.#keyboard = next;
    this.#emit(outcome.strokes, record.at);
    clearTimeout(this.#flushTimer);
    if (next.held) this.#flushTimer = setTimeout(() => this.#flush(), FAKE_CONTROL_MS);
    if (outcome.leave) this.#sink.leave();
    else if (outcome.strokes.length > 0) this.#sink.typed();
    return outcome.handled;
  }

  #flush() {
    const [next, strokes] = flush(this.#keyboard);
    this.#keyboard = next;
    this.#emit(strokes, performance.now());
  }

  /** @param {readonly InputEvent[]} strokes @param {number} timeStamp */
  #emit(strokes, timeStamp) {
    for (const stroke of strokes) this.#sink.send(stroke, performance.timeOrigin + timeStamp);
  }

  /** @param {string} text @param {number} timeStamp */
  #text(text, timeStamp) {
    if (text && this.#sink.isActive()) this.#emit(textStrokes(text), timeStamp);
  }

  /** @param {EditContext} context */
  #attachEditContext(context) {
    this.#canvas.editContext = context;
    const clear = () => {
      context.updateText(0, context.text.length, '');
      context.updateSelection(0, 0);
    };
    context.addEventListener('compositionstart', () => { this.#isComposing = true; });
    context.addEventListener('textupdate', (event) => {
      if (this.#isComposing) return;
      this.#text(event.text, event.timeStamp);
      clear();
    });
    context.addEventListener('compositionend', (event) => {
      this.#isComposing = false;
      this.#text(event.data, event.timeStamp);
      clear();
    });
    this.#canvas.addEventListener('focus', () => {
      const bounds = this.#canvas.getBoundingClientRect();
      context.updateControlBounds(bounds);
      context.updateSelectionBounds(bounds);
    });
  }

  #attachTextarea() {
    const area = document.createElement('textarea');
    area.className = 'composer';
    area.tabIndex = -1;
    area.autocapitalize = 'off';
    area.spellcheck = false;
    area.setAttribute('autocomplete', 'off');
    area.setAttribute('aria-label', this.#canvas.getAttribute('aria-label') ?? '');
    this.#canvas.after(area);
    this.#canvas.addEventListener('focus', () => area.focus({ preventScroll: true }));
    area.addEventListener('blur', (event) => { if (!this.#isOwn(event.relatedTarget)) this.releaseAll(); });
    area.addEventListener('compositionstart', () => { this.#isComposing = true; });
    area.addEventListener('compositionend', (event) => {
      this.#isComposing = false;
      this.#text(event.data, event.timeStamp);
      area.value = '';
    });
    area.addEventListener('input', (event) => {
      if (this.#isComposing) return;
      this.#text(area.value, event.timeStamp);
      area.value = '';
    });
    this.#listen(area);
  }
}

const now = () => performance.timeOrigin + performance.now();
