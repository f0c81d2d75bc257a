/** The word that the server has a newer viewer: it waits at the edge until somebody has a moment. */

import { byId } from './dom.js';

/** While somebody works it is only there with the tools. */
const READ_MS = 8000;

/** The chip. What it says is read out once, and it never takes the keyboard. */
export class Update {
  #chip = byId('update', HTMLElement);
  #asideTimer = 0;

  /** @param {{ reload(): void, dismiss(): void }} actions */
  constructor(actions) {
    byId('update-load', HTMLButtonElement).addEventListener('click', actions.reload);
    byId('update-close', HTMLButtonElement).addEventListener('click', actions.dismiss);
  }

  /** @param {boolean} isShown */
  render(isShown) {
    if (this.#chip.hidden !== isShown) return;
    this.#chip.hidden = !isShown;
    // Who has seen it once is not shown it anew with each connection.
    if (isShown && this.#asideTimer === 0) this.#asideTimer = setTimeout(() => { this.#chip.dataset.aside = ''; }, READ_MS);
  }
}
