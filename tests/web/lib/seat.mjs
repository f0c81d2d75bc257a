// @ts-check
/**
 * Somebody at a desktop made of containers. What they do they do through the viewer, by keyboard and
 * mouse; what came of it is read from the desktop's X server and from their files.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { shoot, stats } from './browser.mjs';
import { hash, visible, visibleHash } from './picture.mjs';
import { desktopIsThere, sessionOf } from './school.mjs';
import { eventually, sleep } from './wait.mjs';
import { Display } from './x11.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** What a program may take until it has a window, on a machine of two busy cores. */
export const PROGRAM_MS = 120_000;
/** What has not changed for so long rests. */
const STILL_MS = 250;
/** So many pixels of a colour are no accident. */
const ENOUGH = 40;
/** How long somebody waits for an answer before they try again. */
const ANSWER_MS = 6000;
/** Between two keys, as somebody types who is good at it. */
const KEY_MS = 20;
/** Where the panel's menu is at 1366x768, and the first of what it found. */
const [MENU, FIRST_FOUND] = /** @type {const} */ ([[32, 748], [110, 338]]);
/** What closes a window that fills the screen. */
const CLOSE = /** @type {const} */ ([1352, 10]);

export class Seat {
  /** @readonly */
  page;
  /** @readonly */
  session;
  /** What the X server shows. @readonly */
  display;
  #files;
  #name;

  /** @param {Page} page @param {string} session @param {Display} display @param {string} files @param {string} name */
  constructor(page, session, display, files, name) {
    [this.page, this.session, this.display, this.#files, this.#name] = [page, session, display, files, name];
  }

  /**
   * Starts a desktop on the page of one's own desktops, and sits down at it.
   * @param {Page} page
   * @param {string} template its title
   * @param {{ run: string, data: string }} places where sockets of desktops are, and homes
   * @param {string} name of its screenshots
   */
  static async take(page, template, places, name) {
    await page.getByRole('heading', { name: 'My desktops' }).waitFor();
    await page.getByRole('button', { name: /Start a desktop|New desktop/ }).click();
    const dialog = page.getByRole('dialog', { name: 'New desktop' });
    await dialog.getByRole('radio', { name: template }).check();
    await shoot(page, `${name}-new`);
    await dialog.getByRole('button', { name: 'Start' }).click();
    await page.getByRole('link', { name: `Open ${template}` }).click({ timeout: PROGRAM_MS });
    await desktopIsThere(page);
    const session = sessionOf(page);
    const display = await Display.at(join(places.run, session));
    // Nobody else has been here: the first user is the first administrator.
    const seat = new Seat(page, session, display, join(places.data, 'homes/1/data'), name);
    await seat.title(/^xfce4-panel$/);
    await page.locator('#screen').focus();
    return seat;
  }

  /** Waits for a window, or with `false` for the end of all such windows. @param {RegExp} title */
  title(title, isThere = true, withinMs = PROGRAM_MS) {
    return eventually(`${isThere ? 'a window' : 'no window'} ${title}`, async () => (
      (await this.display.titles()).some((each) => title.test(each)) === isThere), withinMs);
  }

  /** Opens a program from the desktop's menu. @param {string} program @param {RegExp} window its title */
  async open(program, window) {
    await this.find(program);
    await this.click(FIRST_FOUND);
    await this.title(window);
  }

  /** Looks for a program in the desktop's menu. @param {string} program */
  async find(program) {
    await this.click(MENU);
    await this.title(/^Whisker Menu$/);
    await this.see(() => this.type(program));
    await this.shoot('menu');
  }

  /** Closes the window that fills the screen. @param {RegExp} window its title */
  async close(window) {
    await this.click(CLOSE);
    await this.title(window, false);
  }

  /** @param {readonly [number, number]} place on the desktop, which the page shows as large as it is */
  click([x, y]) {
    return this.page.mouse.click(x, y);
  }

  /**
   * Clicks a link of a terminal while Ctrl is held, as often as it takes: it is one only some time after
   * the pointer has come to it.
   * @param {readonly [number, number]} place
   * @param {RegExp} window the title of what it opens
   */
  async follow([x, y], window) {
    await eventually(`a link that opens ${window}`, async () => {
      await this.page.keyboard.down('Control');
      await this.page.mouse.move(x, y);
      await this.page.mouse.move(x + 2, y);
      await this.rest();
      await this.page.mouse.click(x + 2, y);
      await this.page.keyboard.up('Control');
      return this.title(window, true, ANSWER_MS).catch(() => null);
    }, PROGRAM_MS);
  }

  /** The middle of what the canvas shows in a colour, once it does. @param {number} color @returns {Promise<[number, number]>} */
  painted(color) {
    return eventually(`something of the colour ${color.toString(16)}`, async () => {
      const { width, data } = await visible(this.page);
      const found = [];
      for (let at = 0; at < data.length; at += 4) if (data.readUIntBE(at, 3) === color) found.push(at / 4);
      if (found.length < ENOUGH) return null;
      const columns = found.map((at) => at % width);
      const rows = found.map((at) => Math.floor(at / width));
      return /** @type {[number, number]} */ ([columns, rows].map((all) => Math.round((Math.min(...all) + Math.max(...all)) / 2)));
    }, PROGRAM_MS);
  }

  /** @param {string} text */
  type(text) {
    return this.page.keyboard.type(text, { delay: KEY_MS });
  }

  /** Presses keys one after the other. @param {...string} keys */
  async press(...keys) {
    for (const key of keys) await this.page.keyboard.press(key, { delay: KEY_MS });
  }

  /** Until nothing moves, and the canvas shows what the X server does; how that looks, as a hash. */
  async rest() {
    let before = '';
    return eventually('a picture that rests and is exact', async () => {
      const [real, shown] = [hash(await this.display.image()), await visibleHash(this.page)];
      const rests = real === before && shown === real && (await stats(this.page)).exact;
      before = real;
      if (!rests) await sleep(STILL_MS);
      return rests ? real : null;
    }, PROGRAM_MS);
  }

  /** Does something that is seen, and waits until it is. @param {() => Promise<unknown>} act */
  async see(act) {
    const before = await this.rest();
    await act();
    await eventually('what was done to be seen', async () => (await this.rest()) !== before, PROGRAM_MS);
  }

  /** @param {string} what */
  shoot(what) {
    return shoot(this.page, `${this.#name}-${what}`);
  }

  /** A file of theirs, in Data. @param {string} path */
  path(path) {
    return join(this.#files, path);
  }

  /** What is in it; nothing where it is not there yet. @param {string} path */
  read(path) {
    return existsSync(this.path(path)) ? readFileSync(this.path(path), 'utf8') : '';
  }

  /** Waits for a file to be so. @param {string} path @param {RegExp} content */
  file(path, content, withinMs = PROGRAM_MS) {
    return eventually(`${path} to have ${content}`, () => content.test(this.read(path)), withinMs);
  }

  /** Saves what an editor has until the file is so. @param {string} path @param {RegExp} content */
  save(path, content) {
    return eventually(`${path} to be saved as ${content}`, async () => {
      await this.press('Control+s');
      return this.file(path, content, ANSWER_MS).catch(() => null);
    }, PROGRAM_MS);
  }

  /**
   * Until a shell does what is typed: what is typed before it reads is lost.
   * @param {readonly [number, number]} place where a click gives it the keys
   * @param {() => Promise<unknown>} open what brings it about, and may have been too early
   */
  async shell(place, open = async () => {}) {
    const made = 'shell-is-there';
    await eventually('a shell that makes files', async () => {
      await open();
      await this.rest();
      await this.click(place);
      await this.rest();
      await this.press('Control+c');
      await this.type(`touch ~/Data/${made}; clear\n`);
      await eventually('the file', () => existsSync(this.path(made)), ANSWER_MS).catch(() => {});
      return existsSync(this.path(made));
    }, PROGRAM_MS);
  }

  end() {
    this.display.end();
  }
}
