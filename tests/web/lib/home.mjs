// @ts-check
/**
 * The house whose pages are tested: the double, or a real `lattice serve` whose address is in
 * `LATTICE_HOME_URL`, with an administrator's `name:password` in `LATTICE_HOME_ADMIN`. Tests that
 * plant faults or need a state that cannot be reached from outside have the double alone.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './binaries.mjs';
import { open, shoot } from './browser.mjs';
import { Double } from './double.mjs';
import { Shop } from './double-catalogue.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('playwright-core').Browser} Browser */

export const ADMIN = Object.freeze({ name: 'ada', display_name: 'Ada Lovelace', password: 'correct horse' });
export const MEMBER = Object.freeze({ name: 'sam', display_name: 'Sam Weller', password: 'battery staple' });

export class House {
  /** @readonly */
  url;
  /** @readonly */
  admin;
  /** @type {Double | null} @readonly */
  double;

  /** @param {string} url @param {{ name: string, password: string }} admin @param {Double | null} double */
  constructor(url, admin, double) {
    this.url = url;
    this.admin = admin;
    this.double = double;
  }

  static async open() {
    const url = process.env.LATTICE_HOME_URL;
    if (url) {
      const [name = '', password = ''] = (process.env.LATTICE_HOME_ADMIN ?? '').split(/:(.*)/);
      if (!name || !password) throw new Error('LATTICE_HOME_URL is set: name an administrator in LATTICE_HOME_ADMIN as name:password');
      return new House(url.replace(/\/$/, ''), { name, password }, null);
    }
    const double = await Double.start();
    return new House(double.url, ADMIN, double);
  }

  /** Two people and nothing else. */
  reset() {
    const { double } = this;
    if (!double) throw new Error('only the double can be reset');
    Object.assign(double, { ownersEdit: false, sessions: [], users: [], faults: [], wrongTries: 0, startMs: 120, asked: [], shop: new Shop() });
    Object.assign(double, {
      stock: { images: [], total_bytes: 0, removable_bytes: 0, obstacle: null }, volumes: { people: [], keeper: 'plain directories', enforced: false, obstacle: null },
    });
    Object.assign(double.figures, { builds: [], builds_revision: 0 });
    double.logins.clear();
    double.enters.clear();
    double.templates = [{ id: 'desktop', title: 'Plain desktop', summary: 'Files, a terminal, a browser.' }];
    const admin = double.addUser({ ...ADMIN, role: 'admin' });
    const member = double.addUser({ ...MEMBER });
    return { double, admin, member };
  }

  async close() {
    if (this.double?.isThere) await this.double.away();
  }
}

/** @param {Page} page @param {{ name: string, password: string }} who */
export async function signIn(page, { name, password }) {
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'My desktops' }).waitFor();
}

/** A desktop's card. @param {Page} page @param {string} name */
export const card = (page, name) => page.getByRole('listitem').filter({ has: page.getByRole('heading', { name, exact: true }) });

const SIZES = /** @type {const} */ ({ wide: { width: 1366, height: 768 }, large: { width: 1920, height: 1080 }, narrow: { width: 360, height: 740 } });
export const SCHEMES = /** @type {const} */ (['light', 'dark']);
const OPERATED = new Set(['button', 'link', 'textbox', 'checkbox', 'radio', 'menuitem', 'tab', 'combobox', 'switch', 'dialog']);

/** Tests of what only the double can be brought to. */
export const doubleOnly = () => (process.env.LATTICE_HOME_URL ? { skip: 'a real server cannot be brought to this' } : {});

/** @param {Page} page */
async function namesAreThere(page) {
  const cdp = await page.context().newCDPSession(page);
  const { nodes } = await cdp.send('Accessibility.getFullAXTree');
  await cdp.detach();
  const nameless = nodes.filter(({ ignored, role, name }) => !ignored && OPERATED.has(role?.value) && !name?.value?.trim()).map(({ role }) => role?.value);
  assert.deepEqual(nameless, [], 'everything that is operated has a name');
}

const axe = readFileSync(join(repository, 'tests/web/node_modules/axe-core/axe.min.js'), 'utf8');

/** What axe finds serious or worse on the page as it is. @param {Page} page */
export async function faults(page) {
  // The pages' own policy lets no script of others in; a world of its own does.
  const cdp = await page.context().newCDPSession(page);
  const { frameTree } = await cdp.send('Page.getFrameTree');
  const { executionContextId: contextId } = await cdp.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
  await cdp.send('Runtime.evaluate', { contextId, expression: axe });
  const run = 'axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => JSON.stringify(violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html.slice(0, 160)).join(" | "))))';
  const { result, exceptionDetails } = await cdp.send('Runtime.evaluate', { contextId, expression: run, awaitPromise: true });
  await cdp.detach();
  assert.equal(exceptionDetails, undefined, 'axe runs');
  return /** @type {string[]} */ (JSON.parse(result.value));
}

/** Nothing is wider than the page. @param {Page} page */
async function fits(page) {
  const over = await page.evaluate(() => [document.documentElement, ...document.querySelectorAll('.modal-body, .top nav')]
    .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth).map(({ className, tagName }) => `${tagName} ${className}`));
  assert.deepEqual(over, [], 'nothing is wider than the page');
}

/** Looks at the page as it is, wide and narrow, light and dark. @param {Page} page @param {string} name */
export async function look(page, name) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      await shoot(page, `home-${name}-${size}-${colorScheme}`);
    }
    await fits(page);
  }
  await page.setViewportSize(SIZES.wide);
  await namesAreThere(page);
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    // What is still fading in is faint.
    await page.evaluate(() => Promise.allSettled(document.getAnimations().filter(({ effect }) => effect?.getComputedTiming().iterations !== Infinity).map(({ finished }) => finished)));
    assert.deepEqual(await faults(page), [], `${name}, ${colorScheme}: what axe finds serious`);
  }
}

/**
 * Visits, signed in or not, by a browser of its own that must find nothing to complain about.
 * @param {Browser} browser
 * @param {House} house
 */
export function visits(browser, house) {
  /** @typedef {(page: Page) => Promise<unknown>} Run */
  /** @param {string} path @param {Run} run @param {import('playwright-core').BrowserContextOptions} [options] */
  const visit = async (path, run, options = {}) => {
    const { page, complaints, close } = await open(browser, `${house.url}${path}`, options);
    try {
      await run(page);
      assert.deepEqual(complaints, []);
    } finally {
      await close();
    }
  };
  /** @param {{ name: string, password: string }} who */
  const as = (who) => (/** @type {string} */ path, /** @type {Run} */ run, /** @type {object} */ options = {}) => visit('/', async (page) => {
    await signIn(page, who);
    if (path !== '/') await page.goto(`${house.url}${path}`);
    await run(page);
  }, options);
  return { visit, visitAsMember: as(MEMBER), visitAsAdmin: as(house.admin) };
}

/** One of each state, for oneself and from others. @param {ReturnType<House['reset']>} made */
export function fill({ double, admin, member }) {
  const states = /** @type {const} */ ([
    ['Maths with Mr Weller', 'running'], ['History essay', 'stopped'], ['Robotics', 'starting'], ['Chemistry', 'queued'],
    ['Old project', 'failed', 'The disk of this machine is full: free some space, then start it again.'],
    ['A very long name that somebody gave to a desktop because nobody told them that it might not fit on a card', 'idle'],
  ]);
  const sessions = states.map(([name, named, reason]) => double.addSession({ owner: member, name, state: named, reason: reason ?? '' }));
  Object.assign(/** @type {object} */ (sessions[3]), { queue: { position: 3, eta_s: 120 } });
  const watchers = [
    { viewer: 1, name: 'Sam Weller', role: 'owner', driving: true, you: true },
    { viewer: 2, name: 'Guest 2', role: 'view', driving: false, you: false },
    { viewer: 3, name: 'Ada Lovelace', role: 'control', driving: false, you: false },
  ];
  Object.assign(/** @type {object} */ (sessions[0]), { watchers });
  const lesson = double.addSession({ owner: admin, name: 'Lesson 4: loops', watchers: watchers.slice(1) });
  lesson.grants.set(member.id, 'control');
  double.addSession({ owner: admin, name: 'Tomorrow', state: 'stopped' }).grants.set(member.id, 'view');
  return /** @type {import('./double.mjs').Session} */ (sessions[0]);
}

/** Goes there by Tab and presses Enter; it can be seen where one is. @param {Page} page @param {string | RegExp} name */
export async function press(page, name) {
  const wanted = page.getByRole('button', { name, ...(typeof name === 'string' && { exact: true }) }).last();
  await wanted.waitFor();
  for (let step = 0; step < 40; step += 1) {
    if (await wanted.evaluate((element) => element === document.activeElement)) {
      const outline = await wanted.evaluate((element) => getComputedStyle(element).outlineStyle);
      assert.notEqual(outline, 'none', `the focus on ${name} can be seen`);
      return page.keyboard.press('Enter');
    }
    await page.keyboard.press('Tab');
  }
  throw new Error(`${name} is not reached by Tab`);
}

/** Texts with less than 4.5:1 on the colours below them. @param {Page} page @param {string} [root] */
export const faint = (page, root = 'body') => page.evaluate((selector) => {
  /** @param {string} text */
  const parse = (text) => (/^rgba?\(([^)]+)\)/.exec(text)?.[1] ?? '0,0,0,0').split(/[ ,/]+/).map(Number);
  /** @param {number[]} color */
  const light = ([r = 0, g = 0, b = 0]) => {
    const [R = 0, G = 0, B = 0] = [r, g, b].map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  /** @param {Element | null} element @returns {number[]} */
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const color = parse(getComputedStyle(element).backgroundColor);
    return (color[3] ?? 1) > 0.99 ? color : behind(element.parentElement);
  };
  const found = [];
  for (const element of document.querySelector(selector)?.querySelectorAll('*') ?? []) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim());
    const box = element.getBoundingClientRect();
    if (!own || box.width <= 1 || element.matches(':disabled') || !element.checkVisibility({ visibilityProperty: true })) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = ((a ?? 0) + 0.05) / ((b ?? 0) + 0.05);
    if (ratio < 4.5) found.push(`${element.textContent?.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return found;
}, root);
