/** The word at the edge that nobody works here: it stays until somebody does. */

import { notice } from '../client/rest.js';
import { byId, setText } from './dom.js';

/** @import { Standing } from '../protocol/types.js' */

/** Minutes are what is shown. */
const AGAIN_MS = 10_000;

/** The chip. What it says is read out, and it never takes the keyboard. */
export class Rest {
  #chip = byId('rest', HTMLElement);
  #words = byId('rest-words', HTMLElement);
  #go = byId('rest-go', HTMLButtonElement);
  #timer = 0;
  /** @type {Standing | null} */
  #standing = null;
  #since = 0;

  /** @param {() => void} onGo */
  constructor(onGo) {
    this.#go.addEventListener('click', onGo);
  }

  /** @param {Standing | null} standing what is to be shown, if anything @param {boolean} isDriving */
  render(standing, isDriving) {
    if (standing !== this.#standing) {
      this.#standing = standing;
      this.#since = performance.now();
    }
    clearTimeout(this.#timer);
    const passedS = (performance.now() - this.#since) / 1000;
    const said = standing && notice(standing, passedS, isDriving);
    this.#chip.hidden = !said;
    if (!said) return;
    setText(this.#words, said.text);
    this.#go.hidden = !said.canGoOn;
    this.#timer = setTimeout(() => this.render(standing, isDriving), AGAIN_MS);
  }
}
