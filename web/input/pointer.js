/**
 * Mouse and pen on the canvas: positions in the desktop's pixels, buttons by what is really held,
 * the wheel in 1/120 of a notch.
 */

import { modifierBits } from '../client/keyboard.js';
import { Touch } from './touch.js';

/** @import { InputEvent } from '../media/messages.js' */

/**
 * @typedef {{ send(input: InputEvent, at: number): void, isActive(): boolean,
 *   point(at: { x: number, y: number }): void,
 *   desktop(): { width: number, height: number } }} Sink
 */

/** Motion goes out at most this often; the newest position wins. */
const MOTION_MS = 4;
const NOTCH = 120;
const PIXELS_PER_NOTCH = 100;
const LINES_PER_NOTCH = 3;
const PAGES_PER_NOTCH = 1 / 3;
const MAX_WHEEL = 32767;
/** The bits of `buttons` in the order of `button`. */
const BUTTON_BITS = [1, 4, 2, 8, 16];

/**
 * Wheel units of a movement.
 * @param {number} delta
 * @param {number} mode `WheelEvent.deltaMode`
 */
export function wheelUnits(delta, mode) {
  const perNotch = [PIXELS_PER_NOTCH, LINES_PER_NOTCH, PAGES_PER_NOTCH][mode] ?? PIXELS_PER_NOTCH;
  return (delta / perNotch) * NOTCH;
}

/**
 * Where a point of the page is on the desktop, kept within it.
 * @param {{ clientX: number, clientY: number }} at
 * @param {{ left: number, top: number, width: number, height: number }} box the canvas on the page
 * @param {{ width: number, height: number }} desktop
 */
export function toDesktop(at, box, desktop) {
  const along = (/** @type {number} */ from, /** @type {number} */ length, /** @type {number} */ pixels) => {
    const pixel = Math.floor((from / Math.max(length, 1)) * pixels);
    return Math.min(Math.max(pixel, 0), Math.max(pixels - 1, 0));
  };
  return {
    x: along(at.clientX - box.left, box.width, desktop.width),
    y: along(at.clientY - box.top, box.height, desktop.height),
  };
}

/** The pointer of one canvas. */
export class Pointer {
  #canvas;
  #sink;
  #touch;
  #held = 0;
  #at = { x: -1, y: -1 };
  /** @type {{ x: number, y: number, at: number } | null} */
  #motion = null;
  #motionTimer = 0;
  #rest = { x: 0, y: 0 };

  /** @param {HTMLCanvasElement} canvas @param {Sink} sink */
  constructor(canvas, sink) {
    this.#canvas = canvas;
    this.#sink = sink;
    this.#touch = new Touch({
      move: (at) => this.#move(this.#position(at), performance.now()),
      button: (at, button, down) => this.#button(this.#position(at), button, down, 0, performance.now()),
      wheel: (at, dx, dy) => this.#wheel(this.#position(at), wheelUnits(dx, 0), wheelUnits(dy, 0), 0, performance.now()),
    });
    for (const type of /** @type {const} */ (['pointerdown', 'pointermove', 'pointerup', 'pointercancel'])) {
      canvas.addEventListener(type, (event) => this.#onPointer(event));
    }
    canvas.addEventListener('pointerrawupdate', (event) => this.#onRaw(/** @type {PointerEvent} */ (event)));
    canvas.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
    // The browser's own meanings (menu, autoscroll, history, drag) would act on the page instead.
    for (const type of ['contextmenu', 'mousedown', 'mouseup', 'auxclick', 'dragstart']) {
      canvas.addEventListener(type, (event) => event.preventDefault());
    }
    window.addEventListener('blur', () => this.forget());
  }

  /** No button is held any more; `Keys.releaseAll` has told the other side. */
  forget() {
    this.#held = 0;
    this.#at = { x: -1, y: -1 };
    this.#touch.cancel();
  }

  /** @param {{ clientX: number, clientY: number }} event */
  #position(event) {
    return toDesktop(event, this.#canvas.getBoundingClientRect(), this.#sink.desktop());
  }

  /** @param {PointerEvent} event */
  #onPointer(event) {
    const hasFocus = document.activeElement === this.#canvas || document.activeElement?.matches('.composer');
    if (event.type === 'pointerdown' && !hasFocus) this.#canvas.focus({ preventScroll: true });
    if (!this.#sink.isActive()) {
      if (event.type === 'pointermove' || event.type === 'pointerdown') this.#sink.point(this.#position(event));
      return;
    }
    if (event.type === 'pointerdown') this.#capture(event.pointerId);
    if (event.pointerType === 'touch') {
      this.#touch.handle(event);
      return;
    }
    const at = this.#position(event);
    const held = event.type === 'pointercancel' ? 0 : event.buttons;
    if (held === this.#held) this.#move(at, event.timeStamp);
    else this.#buttons(at, held, bitsOf(event), event.timeStamp);
  }

  /** @param {number} pointerId */
  #capture(pointerId) {
    try {
      this.#canvas.setPointerCapture(pointerId);
    } catch {
      // The pointer is gone already; its release will never come, and `buttons` says so next time.
    }
  }

  /** Earlier than `pointermove`, which waits for the next picture of the page. @param {PointerEvent} event */
  #onRaw(event) {
    if (event.pointerType === 'touch' || !this.#sink.isActive()) return;
    this.#move(this.#position(event), event.timeStamp);
  }

  /** @param {{ x: number, y: number }} at @param {number} held @param {number} modifiers @param {number} time */
  #buttons(at, held, modifiers, time) {
    for (const [button, bit] of BUTTON_BITS.entries()) {
      const down = (held & bit) !== 0;
      if (down !== ((this.#held & bit) !== 0)) this.#button(at, button, down, modifiers, time);
    }
    this.#held = held;
  }

  /** @param {{ x: number, y: number }} at @param {number} button @param {boolean} down @param {number} modifiers @param {number} time */
  #button(at, button, down, modifiers, time) {
    this.#motion = null;
    this.#at = at;
    this.#send({ type: 'button', ...at, button, down, modifiers }, time);
  }

  /** @param {{ x: number, y: number }} at @param {number} time */
  #move(at, time) {
    if (at.x === this.#at.x && at.y === this.#at.y) return;
    this.#motion = { ...at, at: time };
    this.#at = at;
    if (this.#motionTimer) return;
    this.#sendMotion();
    this.#motionTimer = setTimeout(() => {
      this.#motionTimer = 0;
      this.#sendMotion();
    }, MOTION_MS);
  }

  #sendMotion() {
    const motion = this.#motion;
    this.#motion = null;
    if (motion) this.#send({ type: 'pointer', x: motion.x, y: motion.y }, motion.at);
  }

  /** @param {WheelEvent} event */
  #onWheel(event) {
    event.preventDefault();
    if (!this.#sink.isActive()) return;
    this.#wheel(this.#position(event), wheelUnits(event.deltaX, event.deltaMode),
      wheelUnits(event.deltaY, event.deltaMode), bitsOf(event), event.timeStamp);
  }

  /** Parts of a unit are kept for the next turn. @param {{ x: number, y: number }} at @param {number} dx @param {number} dy @param {number} modifiers @param {number} time */
  #wheel(at, dx, dy, modifiers, time) {
    const [sumX, sumY] = [this.#rest.x + dx, this.#rest.y + dy];
    const [x, y] = [whole(sumX), whole(sumY)];
    this.#rest = { x: sumX - Math.trunc(sumX), y: sumY - Math.trunc(sumY) };
    if (x === 0 && y === 0) return;
    this.#motion = null;
    this.#at = at;
    this.#send({ type: 'wheel', ...at, dx: x, dy: y, modifiers }, time);
  }

  /** @param {InputEvent} input @param {number} timeStamp */
  #send(input, timeStamp) {
    if (this.#sink.isActive()) this.#sink.send(input, performance.timeOrigin + timeStamp);
  }
}

/** @param {number} units */
const whole = (units) => Math.trunc(Math.min(Math.max(units, -MAX_WHEEL), MAX_WHEEL));

/** @param {MouseEvent} event */
const bitsOf = (event) => modifierBits((name) => event.getModifierState(name));
