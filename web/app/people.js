/** Who is here: the chip that says who drives, the list that owners see, and requests for control. */

import { ROLE_WORDS, asking, nameOf, standing } from '../client/control.js';
import { byId, element, setText } from './dom.js';

/** @import { Action, Room } from '../client/control.js' */
/** @import { Person } from '../protocol/types.js' */

/** @typedef {{ act(action: Action): void, give(viewer: number): void }} Actions */

/** Whoever drives needs the whole screen: the chip is then only there with the tools. */
const READ_MS = 4000;

/** The views of one room. */
export class People {
  #chip = byId('driver', HTMLElement);
  #words = byId('driver-words', HTMLElement);
  #act = byId('take', HTMLButtonElement);
  #button = byId('b-people', HTMLButtonElement);
  #count = byId('people-count', HTMLElement);
  #list = byId('people', HTMLElement);
  #request = byId('request', HTMLElement);
  #requestWords = byId('request-words', HTMLElement);
  /** @type {Action | null} */
  #action = null;
  #asker = 0;
  /** Requests that were put off; asked anew, they show anew. @type {Set<number>} */
  #putOff = new Set();
  #shown = '';
  #asideTimer = 0;

  /** @param {Actions} actions */
  constructor(actions) {
    this.#act.addEventListener('click', () => { if (this.#action) actions.act(this.#action); });
    byId('request-give', HTMLButtonElement).addEventListener('click', () => actions.give(this.#asker));
    byId('request-later', HTMLButtonElement).addEventListener('click', () => {
      this.#putOff.add(this.#asker);
      this.#request.hidden = true;
    });
    this.#list.addEventListener('click', ({ target }) => {
      const give = target instanceof Element ? target.closest('[data-give]') : null;
      if (give instanceof HTMLElement) actions.give(Number(give.dataset.give));
    });
  }

  /** @param {Room} room @param {boolean} isLive */
  render(room, isLive) {
    const stands = isLive ? standing(room) : null;
    this.#action = stands?.action ?? null;
    this.#chip.hidden = stands === null;
    setText(this.#words, stands?.words ?? '');
    this.#act.hidden = this.#action === null;
    setText(this.#act, stands?.label ?? '');
    this.#stepAside(this.#action === 'release');
    this.#renderList(room);
    this.#renderRequest(room, isLive);
  }

  /** @param {boolean} isInTheWay */
  #stepAside(isInTheWay) {
    if (!isInTheWay) {
      clearTimeout(this.#asideTimer);
      this.#asideTimer = 0;
      delete this.#chip.dataset.aside;
    } else if (this.#asideTimer === 0) {
      this.#asideTimer = setTimeout(() => { this.#chip.dataset.aside = ''; }, READ_MS);
    }
  }

  /** @param {Room} room */
  #renderList(room) {
    this.#button.hidden = room.role !== 'own';
    setText(this.#count, room.people.length > 1 ? String(room.people.length) : '');
    const label = room.people.length === 1 ? 'Nobody else is here' : `${room.people.length} people are here`;
    this.#button.setAttribute('aria-label', label);
    // Built anew only where it differs, so that a button keeps the focus.
    const shown = JSON.stringify([room.people, room.controller, room.viewer]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#list.replaceChildren(...room.people.map((person) => entry(person, room)));
  }

  /** @param {Room} room @param {boolean} isLive */
  #renderRequest(room, isLive) {
    const askers = asking(room);
    for (const viewer of this.#putOff) {
      if (!askers.some((asker) => asker.viewer === viewer)) this.#putOff.delete(viewer);
    }
    const next = askers.find(({ viewer }) => !this.#putOff.has(viewer));
    this.#request.hidden = !next || !isLive;
    if (!next) return;
    this.#asker = next.viewer;
    setText(this.#requestWords, `${nameOf(next, 0)} asks for control`);
  }
}

/** @param {Person} person @param {Room} room */
function entry(person, room) {
  const item = element('li', '');
  const words = element('span', '');
  const drives = person.viewer === room.controller;
  const role = drives ? 'Drives' : person.asks ? 'Asks for control' : ROLE_WORDS[person.role];
  words.append(element('b', nameOf(person, room.viewer)), element('small', role));
  item.append(words);
  const may = person.role === 'control' || person.role === 'own';
  if (may && !drives) {
    const isSelf = person.viewer === room.viewer;
    const give = element('button', isSelf ? 'Take control' : 'Give control');
    give.className = 'button small';
    give.setAttribute('type', 'button');
    if (!isSelf) give.setAttribute('aria-label', `Give control to ${nameOf(person, room.viewer)}`);
    give.dataset.give = String(person.viewer);
    item.append(give);
  }
  return item;
}
