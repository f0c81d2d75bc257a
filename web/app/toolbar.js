/** The tools at the top: hidden while one works, back at the top edge or by Ctrl+Alt+Shift. */

import { byId, element, setText } from './dom.js';

/** @import { Mode } from './fit.js' */

/**
 * @typedef {{ mode: Mode, canResize: boolean, statsOpen: boolean, name: string,
 *   isSlow: boolean }} View
 * @typedef {{ setMode(mode: Mode): void, toggleStats(): void,
 *   chord(keys: { code: string, key: string }[]): void, focusDesktop(): void }} Actions
 */

const EDGE_PX = 4;
const EDGE_REACH_PX = 180;
const NEAR_PX = 72;
const DWELL_MS = 180;
const LINGER_MS = 600;
const HINT_MS = 4000;
const FUNCTION_KEYS = 12;

/** The codes of keys whose code is not their name. @type {Readonly<Record<string, string>>} */
const CODES = { Control: 'ControlLeft', Alt: 'AltLeft', Meta: 'MetaLeft' };

/** The bar and what opens from it. */
export class Toolbar {
  #actions;
  #bar = byId('bar', HTMLElement);
  #name = byId('name', HTMLElement);
  #stats = byId('b-stats', HTMLButtonElement);
  #full = byId('b-full', HTMLButtonElement);
  #slow = byId('slow', HTMLElement);
  #hint = byId('hint', HTMLElement);
  #modes = [...document.querySelectorAll('#p-view [data-mode]')].filter((item) => item instanceof HTMLButtonElement);
  #popovers = [...document.querySelectorAll('.popover')].filter((item) => item instanceof HTMLElement);
  #dwell = 0;
  #linger = 0;
  #hintTimer = 0;

  /** @param {Actions} actions */
  constructor(actions) {
    this.#actions = actions;
    this.#makeKeys();
    for (const item of this.#modes) {
      item.addEventListener('click', () => {
        actions.setMode(/** @type {Mode} */ (item.dataset.mode));
        this.#closePopovers();
        actions.focusDesktop();
      });
    }
    this.#stats.addEventListener('click', () => actions.toggleStats());
    this.#full.addEventListener('click', () => void this.#toggleFullscreen());
    byId('handle', HTMLButtonElement).addEventListener('click', () => this.show());
    document.addEventListener('fullscreenchange', () => this.#onFullscreen());
    this.#watchPointer();
    this.#watchFocus();
  }

  /** @param {View} view */
  render(view) {
    setText(this.#name, view.name || 'Desktop');
    document.title = view.name ? `${view.name} · Lattice` : 'Lattice';
    this.#stats.setAttribute('aria-pressed', String(view.statsOpen));
    for (const item of this.#modes) {
      item.setAttribute('aria-checked', String(item.dataset.mode === view.mode));
      item.disabled = item.dataset.mode === 'resize' && !view.canResize;
    }
    this.#slow.hidden = !view.isSlow;
  }

  /** Shows the bar and gives it the keyboard. */
  enter() {
    this.show();
    this.#bar.querySelector('button')?.focus();
  }

  show() {
    clearTimeout(this.#linger);
    document.documentElement.dataset.bar = 'shown';
  }

  /** Somebody types: the desktop has all the room. */
  stepAside() {
    if (!this.#isHeld()) this.#hide();
  }

  /** A few words that go away by themselves. @param {string} text */
  hint(text) {
    clearTimeout(this.#hintTimer);
    setText(this.#hint, text);
    this.#hint.hidden = false;
    this.#hintTimer = setTimeout(() => { this.#hint.hidden = true; }, HINT_MS);
  }

  #hide() {
    clearTimeout(this.#linger);
    clearTimeout(this.#dwell);
    this.#dwell = 0;
    delete document.documentElement.dataset.bar;
  }

  /** Whether the bar is in use. */
  #isHeld() {
    return this.#popovers.some((popover) => popover.matches(':popover-open'))
      || this.#bar.matches(':focus-within') || this.#bar.matches(':hover');
  }

  #watchPointer() {
    document.addEventListener('pointermove', (event) => this.#onPointer(event), { passive: true });
    document.addEventListener('pointerdown', (event) => {
      const inTools = event.target instanceof Element && event.target.closest('#bar, #handle, .popover');
      if (!inTools) this.#leaveSoon();
    }, { passive: true });
  }

  /** @param {PointerEvent} event */
  #onPointer(event) {
    if (event.pointerType === 'touch') return;
    const root = document.documentElement;
    const isMiddle = Math.abs(event.clientX - innerWidth / 2) <= EDGE_REACH_PX;
    if (root.dataset.bar === 'shown') {
      if (event.clientY > NEAR_PX) this.#leaveSoon();
      return;
    }
    const isNear = isMiddle && event.clientY <= NEAR_PX && event.buttons === 0;
    if (isNear !== (root.dataset.bar === 'near')) {
      if (isNear) root.dataset.bar = 'near';
      else delete root.dataset.bar;
    }
    if (!isNear || event.clientY > EDGE_PX) {
      clearTimeout(this.#dwell);
      this.#dwell = 0;
    } else if (!this.#dwell) this.#dwell = setTimeout(() => this.show(), DWELL_MS);
  }

  #leaveSoon() {
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => { if (!this.#isHeld()) this.#hide(); }, LINGER_MS);
  }

  #watchFocus() {
    this.#bar.addEventListener('focusin', () => this.show());
    this.#bar.addEventListener('keydown', (event) => this.#onBarKey(event));
    for (const popover of this.#popovers) {
      popover.addEventListener('keydown', (event) => this.#onMenuKey(event, popover));
      popover.addEventListener('toggle', (event) => {
        if (/** @type {ToggleEvent} */ (event).newState === 'open') return;
        if (document.activeElement === document.body) this.#actions.focusDesktop();
        this.#leaveSoon();
      });
    }
  }

  /** @param {KeyboardEvent} event */
  #onBarKey(event) {
    if (event.key === 'Escape') {
      this.#actions.focusDesktop();
      this.#hide();
    }
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step) moveFocus([...this.#bar.querySelectorAll('button')], step);
  }

  /** @param {KeyboardEvent} event @param {HTMLElement} popover */
  #onMenuKey(event, popover) {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    moveFocus([...popover.querySelectorAll('button')], step);
  }

  #closePopovers() {
    for (const popover of this.#popovers) popover.hidePopover();
  }

  #makeKeys() {
    const row = byId('function-keys', HTMLElement);
    for (let number = 1; number <= FUNCTION_KEYS; number += 1) {
      const key = element('button', `F${number}`);
      key.setAttribute('type', 'button');
      key.dataset.chord = `F${number}`;
      row.append(key);
    }
    byId('p-keys', HTMLElement).addEventListener('click', ({ target }) => {
      const button = target instanceof Element ? target.closest('[data-chord]') : null;
      if (button instanceof HTMLElement) this.#actions.chord(chordOf(button.dataset.chord ?? ''));
    });
  }

  async #toggleFullscreen() {
    try {
      if (document.fullscreenElement) await document.exitFullscreen();
      else await document.documentElement.requestFullscreen({ navigationUI: 'hide' });
    } catch {
      this.hint('The browser does not allow full screen here');
    }
  }

  #onFullscreen() {
    const isFull = document.fullscreenElement !== null;
    const label = isFull ? 'Leave full screen' : 'Full screen';
    this.#full.setAttribute('aria-label', label);
    this.#full.dataset.tip = label;
    this.#full.querySelector('use')?.setAttribute('href', isFull ? '#i-window' : '#i-full');
    this.#actions.focusDesktop();
    this.#hide();
    if (!isFull) navigator.keyboard?.unlock();
    else if (navigator.keyboard) navigator.keyboard.lock().then(() => this.hint('Hold Esc to leave full screen'), () => {});
  }
}

/** @param {HTMLElement[]} items @param {number} step */
function moveFocus(items, step) {
  const usable = items.filter((item) => !(item instanceof HTMLButtonElement && item.disabled));
  const at = usable.findIndex((item) => item === document.activeElement);
  usable[(at + step + usable.length) % usable.length]?.focus();
}

/** `Control+Alt+Delete` as keys. @param {string} chord */
function chordOf(chord) {
  return chord.split('+').map((key) => (/^[A-Z]$/.test(key)
    ? { code: `Key${key}`, key: key.toLowerCase() }
    : { code: CODES[key] ?? key, key }));
}
