// @ts-check
/** A tab that was opened before an update goes on working, and says calmly that there is something newer. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, reachTools, shoot, stats, waitState } from '../lib/browser.mjs';
import { Impostor } from '../lib/impostor.mjs';
import { signIn } from '../lib/home.mjs';
import { Serve } from '../lib/serve.mjs';
import { GENEROUS_MS, eventually, patience } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

const OLD = '0000000000000000';
const WORDS = 'There is a newer version of Lattice';
const ADMIN = { name: 'admin', password: 'correct horse' };
const DESKTOP_MS = 60_000;
const SCHEMES = /** @type {const} */ (['light', 'dark']);

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Serve} */
let serve;
/** @type {Impostor} */
let impostor;

before(async () => {
  browser = await launch();
  serve = await Serve.start('--open');
  impostor = await Impostor.start(serve);
});

after(async () => {
  await browser.close();
  impostor.end();
  await serve.end();
});

/** What the server names, by the address of the impostor. @param {string} url */
function byImpostor(url) {
  const named = new URL(url);
  named.port = String(impostor.port);
  return named.href;
}

/** The server is replaced by a newer one, as an update does it. */
async function update() {
  await serve.kill();
  impostor.release = null;
  await serve.launch();
}

/** @param {Page} page */
const focused = (page) => page.evaluate(() => document.activeElement?.id);

/** @param {Page} page */
const release = (page) => page.evaluate(() => /@([0-9a-f]+)/.exec(document.querySelector('script')?.src ?? '')?.[1]);

/** What is also told to those who do not look. @param {Page} page */
const notice = (page) => page.locator('[role=status]').getByText(WORDS);

/** @param {Page} page @param {string} name */
async function shootBoth(page, name) {
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    await shoot(page, `${name}-${colorScheme}`);
  }
}

/** The desktop answers to what is typed. @param {Page} page */
async function works(page) {
  await eventually('an exact picture', async () => (await stats(page)).exact, DESKTOP_MS);
  const before = (await stats(page)).keyToPixelCount;
  await page.keyboard.press('Control+Alt+t');
  await eventually('a key to change the picture', async () => (await stats(page)).keyToPixelCount > before, DESKTOP_MS);
}

test('a desktop’s tab goes on through an update, tells of it at the edge, and loads the new one when asked', async () => {
  impostor.release = OLD;
  const { page, complaints, close } = await open(browser, byImpostor(serve.url));
  await page.waitForURL(/\/d\//);
  await waitState(page, 'live', DESKTOP_MS);
  await page.locator('#screen').focus();
  assert.equal(await release(page), OLD);
  assert.equal(await notice(page).isVisible(), false, 'server and page are of one release');

  await update();
  await waitState(page, 'live', GENEROUS_MS);
  await notice(page).waitFor();
  assert.equal(await release(page), OLD, 'nothing was loaded anew');
  assert.equal(await focused(page), 'screen', 'the keyboard stays with the desktop');
  await works(page);
  await shootBoth(page, 'update-desktop');
  const { width = 0, height = 0, x = 0, y = 0 } = await page.locator('#update').boundingBox() ?? {};
  assert.ok(width < 440 && height < 60 && x > 683 && y > 600, `it lies in a corner: ${[x, y, width, height]}`);

  await eventually('it to step aside', async () => !(await page.locator('#update').isVisible()), patience(20_000));
  await reachTools(page);
  await page.getByRole('button', { name: 'Load again' }).waitFor();
  await Promise.all([page.waitForEvent('load'), page.getByRole('button', { name: 'Load again' }).press('Enter')]);
  await waitState(page, 'live', GENEROUS_MS);
  assert.notEqual(await release(page), OLD);
  assert.equal(await page.locator('#update').isVisible(), false);
  assert.deepEqual(complaints, []);
  await close();
});

test('who does not want it now is not told again', async () => {
  impostor.release = OLD;
  const { page, close } = await open(browser, byImpostor(await serve.admin('url')));
  await page.getByRole('textbox', { name: 'New password' }).fill(ADMIN.password);
  await page.getByRole('button', { name: 'Set password' }).click();
  await page.getByRole('link', { name: /^Open/ }).first().click();
  await waitState(page, 'live', DESKTOP_MS);
  await update();
  await page.getByRole('button', { name: 'Not now' }).click();
  await notice(page).waitFor({ state: 'hidden' });
  assert.equal(await focused(page), 'screen', 'the desktop has the keyboard again');
  await serve.kill();
  await waitState(page, 'reconnecting', GENEROUS_MS);
  await serve.launch();
  await waitState(page, 'live', GENEROUS_MS);
  assert.equal(await page.locator('#update').isVisible(), false);
  await close();
});

test('the home page tells of an update, too, and goes on showing what changes', async () => {
  impostor.release = OLD;
  const { page, complaints, close } = await open(browser, byImpostor(serve.origin));
  await signIn(page, ADMIN);
  await page.getByRole('button', { name: /^Stop/ }).first().waitFor();
  assert.equal(await notice(page).isVisible(), false);

  await update();
  await notice(page).waitFor({ timeout: patience(GENEROUS_MS) });
  assert.equal(await release(page), OLD);
  const token = await serve.admin('token');
  const { sessions } = await serve.ask(token, 'GET', '/api/v1/sessions');
  await serve.ask(token, 'POST', `/api/v1/sessions/${sessions[0].id}/stop`);
  await page.getByRole('button', { name: /^Start/ }).first().waitFor();
  await shootBoth(page, 'update-home');
  await page.setViewportSize({ width: 360, height: 740 });
  await shoot(page, 'update-home-narrow');
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `${over} pixels too wide`);
  await Promise.all([page.waitForEvent('load'), page.getByRole('button', { name: 'Load again' }).click()]);
  await page.getByRole('heading', { name: 'My desktops' }).waitFor();
  assert.notEqual(await release(page), OLD);
  assert.equal(await notice(page).isVisible(), false);
  assert.deepEqual(complaints, []);
  await close();
});

const older = process.env.LATTICE_OLD_BIN_DIR ?? '';

test('the programs of an older release hand over to those of today', { skip: older === '' && 'LATTICE_OLD_BIN_DIR names none' }, async () => {
  const server = new Serve();
  server.programs = older;
  await server.launch('--open');
  const { page, complaints, close } = await open(browser, server.url);
  await page.waitForURL(/\/d\//);
  await waitState(page, 'live', DESKTOP_MS);
  await page.locator('#screen').focus();
  const before = await release(page);
  await server.kill();
  server.programs = '';
  await server.launch();
  await waitState(page, 'live', GENEROUS_MS);
  await works(page);
  assert.equal(await release(page), before, 'it is the old viewer');
  assert.deepEqual(complaints, []);
  await close();
  await server.end();
});
