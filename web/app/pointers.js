/** Where others point: a mark each on the stage, gone when they rest. */

import { byId, element } from './dom.js';

/** @import { Pointing } from '../protocol/types.js' */

const GONE_AFTER_MS = 3000;
const COLOURS = 6;

/** The marks of all who point. */
export class Pointers {
  #root = byId('pointers', HTMLElement);
  /** @type {Map<number, { mark: HTMLElement, x: number, y: number, timer: number }>} */
  #marks = new Map();

  /** @param {Pointing} pointing @param {string} name */
  show({ viewer, x, y }, name) {
    const known = this.#marks.get(viewer);
    clearTimeout(known?.timer);
    const mark = known?.mark ?? this.#make(viewer);
    mark.dataset.name = name;
    const timer = setTimeout(() => this.#remove(viewer), GONE_AFTER_MS);
    this.#marks.set(viewer, { mark, x, y, timer });
  }

  /**
   * Puts all where they belong.
   * @param {DOMRect} canvas on the page @param {{ width: number, height: number }} desktop
   */
  place(canvas, desktop) {
    for (const { mark, x, y } of this.#marks.values()) {
      const left = canvas.left + ((x + 0.5) / Math.max(desktop.width, 1)) * canvas.width;
      const top = canvas.top + ((y + 0.5) / Math.max(desktop.height, 1)) * canvas.height;
      mark.style.translate = `${left}px ${top}px`;
    }
  }

  clear() {
    for (const viewer of [...this.#marks.keys()]) this.#remove(viewer);
  }

  /** @param {number} viewer */
  #make(viewer) {
    const mark = element('div', '');
    mark.className = 'pointing';
    mark.dataset.colour = String(viewer % COLOURS);
    this.#root.append(mark);
    return mark;
  }

  /** @param {number} viewer */
  #remove(viewer) {
    const known = this.#marks.get(viewer);
    clearTimeout(known?.timer);
    known?.mark.remove();
    this.#marks.delete(viewer);
  }
}
