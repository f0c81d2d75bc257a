/** The states without a live desktop, drawn over the last picture. */

import { setText, within } from './dom.js';
import { wordsFor } from './words.js';

/** @import { Session } from '../client/session.js' */
/** @import { Words } from './words.js' */

/** Shorter waits are over before a person has read how long they are. */
const COUNT_FROM_MS = 1500;
/** Most connections are there before anybody has read that they are being made. */
const WAIT_FROM_MS = 400;

/** The card in the middle of the page. */
export class Overlay {
  #root;
  #waiting;
  #card;
  #title;
  #text;
  #detail;
  #button;
  #countdown;
  #icon;
  #timer = 0;
  #waitTimer = 0;
  /** @type {Session | null} */
  #session = null;
  /** Why there is no picture although nothing is wrong. @type {Words | null} */
  #resting = null;
  #hasHome;

  /** @param {HTMLElement} root @param {boolean} hasHome @param {() => void} onRetry */
  constructor(root, hasHome, onRetry) {
    this.#root = root;
    this.#hasHome = hasHome;
    this.#waiting = within(root, '.waiting');
    this.#card = within(root, '.card');
    this.#title = within(root, '.card-title');
    this.#text = within(root, '.card-text');
    this.#detail = within(root, '.card-detail');
    this.#button = within(root, '.card-actions .button');
    this.#countdown = within(root, '.countdown');
    this.#icon = /** @type {Element} */ (root.querySelector('.glyph use'));
    this.#button.addEventListener('click', () => {
      const action = this.#session && wordsFor(this.#session.reason, this.#hasHome).action;
      if (action === 'reload') location.reload();
      else if (action === 'home') location.assign('../');
      else onRetry();
    });
  }

  /** @param {Session} session @param {Words | null} resting */
  render(session, resting) {
    this.#session = session;
    this.#resting = resting;
    const isCard = resting !== null || session.phase === 'reconnecting' || session.phase === 'ended' || session.phase === 'error';
    this.#wait(session.phase === 'connecting' && !resting);
    this.#card.hidden = !isCard;
    this.#root.setAttribute('role', session.phase === 'error' ? 'alert' : 'status');
    if (isCard) this.#fill(session);
    this.#count();
  }

  /** @param {boolean} isWaiting */
  #wait(isWaiting) {
    if (!isWaiting) {
      clearTimeout(this.#waitTimer);
      this.#waitTimer = 0;
      this.#waiting.hidden = true;
    } else if (this.#waitTimer === 0) {
      this.#waitTimer = setTimeout(() => { this.#waiting.hidden = false; }, WAIT_FROM_MS);
    }
  }

  /** @param {Session} session */
  #fill(session) {
    const words = this.#resting ?? wordsFor(session.reason, this.#hasHome);
    const detail = this.#resting ? '' : session.detail;
    this.#card.dataset.tone = words.tone;
    this.#icon.setAttribute('href', `#i-${words.icon}`);
    setText(this.#title, words.title);
    setText(this.#text, words.text);
    setText(this.#detail, detail);
    this.#detail.hidden = detail === '';
    setText(this.#button, words.label);
    this.#button.hidden = words.action === null;
  }

  /** Counts down once a second while there is something to count. */
  #count() {
    clearTimeout(this.#timer);
    const session = this.#session;
    const left = session && session.link === 'waiting' ? session.retryAt - performance.now() : 0;
    const isCounting = left > 0 && session !== null && session.retryAt > 0;
    setText(this.#countdown, this.#words(session, left));
    if (isCounting) this.#timer = setTimeout(() => this.#count(), (left % 1000) + 20);
  }

  /** @param {Session | null} session @param {number} left */
  #words(session, left) {
    if (this.#resting || session?.phase !== 'reconnecting' || wordsFor(session.reason, this.#hasHome).action === null) return '';
    if (left > COUNT_FROM_MS || (left > 0 && this.#countdown.textContent?.startsWith('Trying again in'))) {
      return `Trying again in ${Math.ceil(left / 1000)} s`;
    }
    return 'Trying now…';
  }
}
