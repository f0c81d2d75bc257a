// @ts-check
/** What people do at a school's server, from the printed address to somebody else's lesson, by whatever address it is reached. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { open, shoot, state, stats, waitState } from './browser.mjs';
import { signIn } from './home.mjs';
import { GENEROUS_MS, eventually, patience, sleep } from './wait.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('./serve.mjs').Serve} Serve */

/**
 * A server, and how browsers reach it.
 * @typedef {{ browser: import('playwright-core').Browser, serve: Serve, token: string, base: string, name: string,
 *   options?: import('playwright-core').BrowserContextOptions }} School `token`: an administrator's;
 *   `base`: without a slash at its end; `name`: of its screenshots
 */

export const MEMBER = { name: 'sam', display_name: 'Sam Weller', password: 'battery staple' };
export const DESKTOP_MS = 60_000;

/** @param {School} school @param {string} url */
const visit = ({ browser, options }, url) => open(browser, url, options);

/** What a program that asks the server itself was told, as browsers reach it. @param {School} school @param {string} url */
function byName({ serve, base }, url) {
  const { pathname, hash } = new URL(url, serve.direct);
  return `${base}${pathname}${hash}`;
}

/** A session's id, of the page that shows it. @param {Page} page */
export const sessionOf = (page) => new URL(page.url()).pathname.split('/').at(-1) ?? '';

/** Until the picture rests. @param {Page} page */
export const settled = (page) => eventually('an exact picture', async () => (await stats(page)).exact, DESKTOP_MS);

/** How many colours of 16 the desktop shows: a black or grey screen has one. @param {Page} page */
const colours = (page) => page.evaluate(() => {
  const screen = /** @type {HTMLCanvasElement} */ (document.getElementById('screen'));
  const scratch = new OffscreenCanvas(64, 36);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (scratch.getContext('2d', { willReadFrequently: true }));
  context.drawImage(screen, 0, 0, 64, 36);
  const { data } = context.getImageData(0, 0, 64, 36);
  const seen = new Set();
  for (let at = 0; at < data.length; at += 4) seen.add((data[at] >> 4) << 8 | (data[at + 1] >> 4) << 4 | data[at + 2] >> 4);
  return seen.size;
});

/** Waits for the desktop with its panel and wallpaper. @param {Page} page */
export async function desktopIsThere(page) {
  await page.waitForURL(/\/d\//);
  await waitState(page, 'live', DESKTOP_MS);
  await eventually('a desktop with more than an empty screen', async () => (await colours(page)) > 8, DESKTOP_MS);
}

/** The only file of this name in anybody's home. @param {Serve} serve @param {string} name */
export function made(serve, name) {
  const homes = join(serve.data, 'homes');
  return readdirSync(homes).map((home) => join(homes, home, 'home', name)).find(existsSync) ?? null;
}

/** Opens a terminal and has it make a file; whether a file comes of it. @param {Page} page @param {string} name */
export async function typeFile(page, name) {
  await page.locator('#screen').focus();
  await page.keyboard.type(`touch ~/${name}\n`, { delay: 15 });
}

/** @param {Serve} serve @param {Page} page */
export async function openTerminal(serve, page) {
  await page.locator('#screen').focus();
  await page.keyboard.press('Control+Alt+t');
  await eventually('a shell that makes files', async () => {
    await typeFile(page, 'shell-is-there');
    await sleep(700);
    return made(serve, 'shell-is-there');
  }, DESKTOP_MS);
}

/** The supervisor of a session. @param {Serve} serve @param {string} session */
const supervisor = (serve, session) => readFileSync(join(serve.data, 'run', session, 'pid'), 'utf8');

/** A link to a session, by the API. @param {School} school @param {string} session @param {object} wish @returns {Promise<{ id: string, url: string }>} */
async function link(school, session, wish) {
  const { serve } = school;
  const made = await serve.ask(school.token, 'POST', `/api/v1/sessions/${session}/links`, wish);
  serve.secrets.add(made.url.split('/').at(-1));
  return { ...made, url: byName(school, made.url) };
}

/** Who looks. @param {School} school @param {string} session @returns {Promise<{ viewer: number, role: string, driving: boolean }[]>} */
const viewers = async ({ serve, token }, session) => (await serve.ask(token, 'GET', `/api/v1/sessions/${session}/viewers`)).viewers;

/** From the printed address to a live desktop, which a killed gateway leaves running. @param {School} school */
async function ownDesktop(school) {
  const { serve, name } = school;
  const { page, complaints, close } = await visit(school, serve.url);
  await desktopIsThere(page);
  assert.match(page.url().slice(school.base.length), /^\/d\/[a-z2-7]{16}$/);
  assert.equal(new URL(page.url()).hash, '', 'the secret has left the address');
  await openTerminal(serve, page);
  await settled(page);
  await shoot(page, `${name}-own-desktop`);

  const session = sessionOf(page);
  const before = supervisor(serve, session);
  await serve.kill();
  await waitState(page, 'reconnecting', patience(3000));
  await serve.launch();
  const restarted = Date.now();
  await waitState(page, 'live', patience(5000));
  console.log(`# live again ${Date.now() - restarted} ms after the gateway was back`);
  assert.equal(supervisor(serve, session), before, 'it is the same desktop');
  await typeFile(page, 'after-the-kill');
  await eventually('the same shell to go on', () => made(serve, 'after-the-kill'), GENEROUS_MS);
  assert.deepEqual(complaints, []);
  await close();
}

/** Somebody new signs in once, sets a password, and has a desktop of their own. @param {School} school */
async function newPerson(school) {
  const { serve, name } = school;
  const { password, ...named } = MEMBER;
  const { url } = await serve.ask(school.token, 'POST', '/api/v1/users', named);
  serve.secrets.add(new URL(url).hash.slice(1));
  const { page, complaints, close } = await visit(school, byName(school, url));
  await page.getByRole('textbox', { name: 'New password' }).fill(password);
  await page.getByRole('button', { name: 'Set password' }).click();
  await page.getByRole('heading', { name: 'My desktops' }).waitFor();
  await shoot(page, `${name}-home-empty`);
  await page.getByRole('button', { name: 'Start a desktop' }).click();
  const link = page.getByRole('link', { name: /^Open/ }).first();
  await link.waitFor({ timeout: DESKTOP_MS });
  await shoot(page, `${name}-home`);
  await page.goto(await link.getAttribute('href').then((href) => new URL(href ?? '', page.url()).href));
  await desktopIsThere(page);
  await settled(page);

  const others = await serve.ask(school.token, 'GET', '/api/v1/sessions?all=1');
  const foreign = others.sessions.find((/** @type {{ owner: { name: string } }} */ { owner }) => owner.name === 'admin');
  await page.goto(byName(school, foreign.url));
  await waitState(page, 'error');
  await page.getByRole('heading', { name: 'There is no desktop here for you' }).waitFor();
  await page.getByRole('button', { name: 'My desktops' }).click();
  await page.getByRole('heading', { name: 'My desktops' }).waitFor();
  assert.deepEqual(complaints, []);
  await close();
}

/** Looks and cannot touch; asks for control, has it, and it is taken back; a link ends, a desktop is stopped. @param {School} school */
async function guests(school) {
  const { serve, name } = school;
  const owner = await visit(school, await serve.admin('url'));
  await owner.page.getByRole('button', { name: 'Not now' }).click();
  await owner.page.getByRole('heading', { name: 'My desktops' }).waitFor();
  const { sessions } = await serve.ask(school.token, 'GET', '/api/v1/sessions');
  await owner.page.goto(byName(school, sessions[0].url));
  await desktopIsThere(owner.page);
  const session = sessionOf(owner.page);

  const watching = await link(school, session, { role: 'view' });
  const started = Date.now();
  const eve = await visit(school, watching.url);
  await eve.page.waitForURL(/\/d\//);
  await waitState(eve.page, 'live', DESKTOP_MS);
  console.log(`# link opened → live ${Date.now() - started} ms`);
  await eve.page.getByText('You are watching').waitFor();
  await typeFile(eve.page, 'made-by-eve');

  const helping = await link(school, session, { role: 'control', max_uses: 1 });
  const sue = await visit(school, helping.url);
  await sue.page.waitForURL(/\/d\//);
  await waitState(sue.page, 'live', DESKTOP_MS);
  await sue.page.getByRole('button', { name: 'Ask for control' }).click();
  await owner.page.getByRole('alert').filter({ hasText: 'asks for control' }).waitFor();
  await owner.page.locator('#request-give').click();
  await sue.page.getByText('You have control').waitFor();
  await typeFile(sue.page, 'made-by-sue');
  await eventually('what Sue types to be done', () => made(serve, 'made-by-sue'), GENEROUS_MS);
  await shoot(sue.page, `${name}-guest-drives`);
  await sue.page.mouse.move(300, 300);
  await eventually('the chip to be out of the way', async () => (
    !(await sue.page.locator('#driver').isVisible())), GENEROUS_MS);
  await owner.page.locator('#driver').getByRole('button', { name: 'Take control' }).click();
  await sue.page.getByText('You are watching').waitFor();
  const driving = (await viewers(school, session)).filter(({ driving }) => driving);
  assert.deepEqual(driving.map(({ role }) => role), ['owner']);

  const again = await visit(school, helping.url);
  await again.page.getByRole('heading', { name: 'This link opens nothing' }).waitFor();
  await again.close();

  await serve.ask(school.token, 'DELETE', `/api/v1/sessions/${session}/links/${watching.id}`);
  const revoked = Date.now();
  await waitState(eve.page, 'ended', patience(1000));
  console.log(`# revoked → gone ${Date.now() - revoked} ms`);
  await eve.page.getByRole('heading', { name: 'You can no longer see this desktop' }).waitFor();
  await shoot(eve.page, `${name}-revoked`);
  assert.equal(await state(owner.page), 'live');
  assert.equal(made(serve, 'made-by-eve'), null, 'who may only look has typed nothing');

  await serve.ask(school.token, 'POST', `/api/v1/sessions/${session}/stop`);
  await waitState(owner.page, 'ended', GENEROUS_MS);
  await owner.page.getByRole('heading', { name: 'This desktop is stopped' }).waitFor();
  await shoot(owner.page, `${name}-stopped`);
  await owner.page.getByRole('button', { name: 'My desktops' }).click();
  await owner.page.getByRole('heading', { name: 'My desktops' }).waitFor();
  for (const { complaints, close } of [owner, eve, sue]) {
    assert.deepEqual(complaints, []);
    await close();
  }
}

/** Whose login ends elsewhere sees nothing more, and signs in to come back. @param {School} school */
async function signOutElsewhere(school) {
  const { serve, name } = school;
  const { page, close } = await visit(school, `${school.base}/`);
  await signIn(page, MEMBER);
  const href = await page.getByRole('link', { name: /^Open/ }).first().getAttribute('href');
  const other = await page.context().newPage();
  await other.goto(new URL(href ?? '', page.url()).href);
  await waitState(other, 'live', DESKTOP_MS);
  await page.getByRole('button', { name: /^Account of/ }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await waitState(other, 'ended', patience(1000));
  await other.getByRole('button', { name: 'Sign in' }).click();
  await signIn(other, MEMBER);
  await close();
}

/** All that people do there, in the order in which it builds on what was done. */
export const FLOWS = /** @type {const} */ ([
  ['the printed address leads to a live desktop, which a killed gateway leaves running', ownDesktop],
  ['somebody new signs in once, sets a password, and has a desktop of their own', newPerson],
  ['a guest may look and not touch, drives when given control, and goes when the link does', guests],
  ['who signs out elsewhere sees nothing more, and signs in to come back', signOutElsewhere],
]);
