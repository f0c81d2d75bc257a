/** What a share link and a one-time sign-in have in common: one question, asked again where that is of use. */

import { render } from '../vendor/preact/preact.mjs';
import { html } from './html.js';
import { backoffMs } from './backoff.js';
import { asSentence, linkTrouble } from './problems.js';
import { Shut } from './view/door.js';

/** @import { Child } from '../vendor/preact/preact.mjs' */
/** @import { DoorTrouble, Words } from './doors.js' */
/** @import { Problem } from './types.js' */

/** The page, from the question to whatever comes of it. */
export class Doorway {
  #root = /** @type {HTMLElement} */ (document.getElementById('app'));
  #words;
  #home;
  #ask;
  #failures = 0;
  #timer = 0;

  /** @param {Readonly<Record<DoorTrouble, Words>>} words @param {string} home where to sign in @param {() => void} ask asks the question */
  constructor(words, home, ask) {
    this.#words = words;
    this.#home = home;
    this.#ask = ask;
  }

  /** @param {'joining' | 'entering' | 'password' | 'shut'} state @param {Child} node */
  draw(state, node) {
    clearTimeout(this.#timer);
    document.documentElement.dataset.state = state;
    render(node, this.#root);
  }

  /** The answer was no: says why, and asks again after a while where it may become a yes. @param {Problem} problem */
  refuse(problem) {
    this.#failures += 1;
    const trouble = linkTrouble(problem);
    const waitMs = Math.max(problem.retryAfterS * 1000, backoffMs(this.#failures + 1, Math.random()));
    this.shut(trouble, trouble === 'refused' && problem.detail ? asSentence(problem.detail) : '', waitMs);
  }

  /** @param {DoorTrouble} trouble @param {string} [detail] @param {number} [waitMs] */
  shut(trouble, detail = '', waitMs = 0) {
    const mayRetry = trouble === 'away' || trouble === 'slow-down';
    document.documentElement.dataset.reason = trouble;
    // A server that is away may be back before the wait is over; one that is crowded is not to be asked.
    const retryAt = trouble === 'slow-down' ? Date.now() + waitMs : 0;
    this.draw('shut', html`<${Shut} words=${this.#words[trouble]} detail=${detail} home=${this.#home} retryAt=${retryAt} onRetry=${mayRetry ? this.#ask : null} />`);
    if (mayRetry) this.#timer = setTimeout(this.#ask, waitMs);
  }
}
