/** The word that somebody on the desktop asks for the desktop's page: only its owners are told. */

import { pageOf } from './gate.js';
import { byId } from './dom.js';

/** Who does not want it now is not left with it. */
const STAYS_MS = 20_000;

/** The chip. What it says is read out, and it never takes the keyboard. */
export class Offer {
  #chip = byId('offer', HTMLElement);
  #open = byId('offer-open', HTMLAnchorElement);
  #onClose;
  #timer = 0;

  /** @param {() => void} onClose */
  constructor(onClose) {
    this.#onClose = onClose;
    this.#open.addEventListener('click', () => this.hide());
    byId('offer-close', HTMLButtonElement).addEventListener('click', () => this.hide());
  }

  /** Programs of the desktop may have this shown at any time: it opens nothing by itself. */
  show() {
    const page = pageOf();
    if (page === null) return;
    this.#open.href = page;
    this.#chip.hidden = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => { this.#chip.hidden = true; }, STAYS_MS);
  }

  hide() {
    if (this.#chip.hidden) return;
    clearTimeout(this.#timer);
    this.#chip.hidden = true;
    this.#onClose();
  }
}
