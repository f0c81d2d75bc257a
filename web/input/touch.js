/**
 * Fingers: a tap clicks, a long press is the right button, one finger that moves drags, two fingers
 * turn the wheel.
 */

/**
 * @typedef {{ clientX: number, clientY: number }} At
 * @typedef {{ move(at: At): void, button(at: At, button: number, down: boolean): void,
 *   wheel(at: At, dx: number, dy: number): void }} Sink `wheel` in CSS pixels
 * @typedef {{ kind: 'none' } | { kind: 'pressed', id: number, from: At }
 *   | { kind: 'dragging', id: number } | { kind: 'scrolling' } | { kind: 'spent' }} Gesture
 */

const LONG_PRESS_MS = 500;
/** A finger that stays within this many CSS pixels rests. */
const SLOP = 10;

/** Turns fingers into buttons and wheel. */
export class Touch {
  #sink;
  /** @type {Map<number, At>} */
  #fingers = new Map();
  /** @type {Gesture} */
  #gesture = { kind: 'none' };
  /** @type {At} */
  #last = { clientX: 0, clientY: 0 };
  #timer = 0;

  /** @param {Sink} sink */
  constructor(sink) {
    this.#sink = sink;
  }

  /** @param {PointerEvent} event */
  handle(event) {
    const at = { clientX: event.clientX, clientY: event.clientY };
    switch (event.type) {
      case 'pointerdown': return this.#down(event.pointerId, at);
      case 'pointermove': return this.#moved(event.pointerId, at);
      default: return this.#up(event.pointerId, at, event.type === 'pointerup');
    }
  }

  /** Lets everything go. */
  cancel() {
    clearTimeout(this.#timer);
    this.#fingers.clear();
    this.#gesture = { kind: 'none' };
  }

  /** @param {number} id @param {At} at */
  #down(id, at) {
    clearTimeout(this.#timer);
    this.#fingers.set(id, at);
    this.#endDrag(at);
    if (this.#fingers.size === 1) {
      this.#gesture = { kind: 'pressed', id, from: at };
      this.#timer = setTimeout(() => this.#longPress(at), LONG_PRESS_MS);
    } else {
      this.#gesture = { kind: this.#fingers.size === 2 ? 'scrolling' : 'spent' };
      this.#last = this.#middle();
    }
  }

  /** @param {At} at */
  #longPress(at) {
    this.#gesture = { kind: 'spent' };
    this.#click(at, 2);
  }

  /** @param {number} id @param {At} at */
  #moved(id, at) {
    if (!this.#fingers.has(id)) return;
    this.#fingers.set(id, at);
    const gesture = this.#gesture;
    if (gesture.kind === 'pressed' && distance(gesture.from, at) > SLOP) {
      clearTimeout(this.#timer);
      this.#gesture = { kind: 'dragging', id };
      this.#sink.move(gesture.from);
      this.#sink.button(gesture.from, 0, true);
      this.#sink.move(at);
    } else if (gesture.kind === 'dragging') this.#sink.move(at);
    else if (gesture.kind === 'scrolling') this.#scroll();
  }

  #scroll() {
    const middle = this.#middle();
    this.#sink.wheel(middle, this.#last.clientX - middle.clientX, this.#last.clientY - middle.clientY);
    this.#last = middle;
  }

  /** @param {number} id @param {At} at @param {boolean} lifted */
  #up(id, at, lifted) {
    if (!this.#fingers.delete(id)) return;
    clearTimeout(this.#timer);
    if (this.#gesture.kind === 'pressed' && lifted) this.#click(this.#gesture.from, 0);
    this.#endDrag(at);
    this.#gesture = { kind: this.#fingers.size === 0 ? 'none' : 'spent' };
  }

  /** @param {At} at */
  #endDrag(at) {
    if (this.#gesture.kind === 'dragging') this.#sink.button(at, 0, false);
  }

  /** @param {At} at @param {number} button */
  #click(at, button) {
    this.#sink.move(at);
    this.#sink.button(at, button, true);
    this.#sink.button(at, button, false);
  }

  /** @returns {At} */
  #middle() {
    const fingers = [...this.#fingers.values()];
    const mean = (/** @type {'clientX' | 'clientY'} */ side) => (
      fingers.reduce((sum, finger) => sum + finger[side], 0) / Math.max(fingers.length, 1));
    return { clientX: mean('clientX'), clientY: mean('clientY') };
  }
}

/** @param {At} a @param {At} b */
const distance = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
