// @ts-check
/** What `lattice` does in a real desktop, as it is seen in browsers: a link, a snapshot, and the way to the desktop's page. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, shoot, waitState } from '../lib/browser.mjs';
import { card, look } from '../lib/home.mjs';
import { done, inside } from '../lib/inside.mjs';
import { DESKTOP_MS, desktopIsThere, settled } from '../lib/school.mjs';
import { Serve } from '../lib/serve.mjs';
import { eventually } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Serve} */
let serve;
/** @type {string} */
let token;
/** The session's id. */
let desk = '';

const skip = process.getuid?.() === 0 ? false : 'only root can do what programs of a desktop do';

before(async () => {
  if (skip) return;
  browser = await launch();
  serve = await Serve.start();
  token = await serve.admin('token');
  desk = (await serve.ask(token, 'POST', '/api/v1/sessions', { template: 'desktop', name: 'Shop' })).id;
  await eventually('the desktop to run', async () => (await serve.ask(token, 'GET', `/api/v1/sessions/${desk}`)).state === 'running', DESKTOP_MS);
  await eventually('its programs to be heard', async () => (await inside(desk, 'lattice status')).status === 0, DESKTOP_MS);
});

after(async () => {
  if (skip) return;
  await browser.close();
  await serve.end();
});

/** The administrator's browser, on the home page. */
async function home() {
  const opened = await open(browser, await serve.admin('url'));
  await opened.page.getByRole('button', { name: 'Not now' }).click();
  await card(opened.page, 'Shop').waitFor();
  return opened;
}

/** @param {Page} page */
const offer = (page) => page.locator('#offer');

test('a link that was made on the desktop opens it elsewhere, and is revoked on the page', { skip }, async () => {
  const url = (await done(desk, 'lattice share --for 30m 2>/dev/null')).trim();
  assert.match(url, new RegExp(`^${serve.origin}/s/[\\w-]{20,}$`));
  serve.secrets.add(url.split('/').at(-1) ?? '');
  const guest = await open(browser, url);
  await desktopIsThere(guest.page);
  const owner = await home();
  await card(owner.page, 'Shop').getByRole('button', { name: 'Share Shop' }).click();
  const dialog = owner.page.getByRole('dialog', { name: 'Share Shop' });
  const row = dialog.getByRole('listitem').filter({ hasText: 'made on the desktop' });
  await row.getByText('used 1 of 100 times').waitFor();
  await look(owner.page, 'link-from-inside');
  await row.getByRole('button', { name: /^Revoke the view link/ }).click();
  await row.waitFor({ state: 'detached' });
  await waitState(guest.page, 'ended');
  assert.match(await done(desk, 'lattice share --list'), /No link/);
  assert.deepEqual([...guest.complaints, ...owner.complaints], []);
  await guest.close();
  await owner.close();
});

test('a snapshot that was made on the desktop is found by its name', { skip }, async () => {
  await done(desk, "echo words >~/Data/essay.txt && lattice snapshot 'before <b>the</b> talk'");
  const owner = await home();
  await card(owner.page, 'Shop').getByRole('button', { name: 'More for Shop' }).click();
  await owner.page.getByRole('button', { name: 'Snapshots…' }).click();
  const dialog = owner.page.getByRole('dialog', { name: 'Snapshots of Shop' });
  const row = dialog.getByRole('listitem').filter({ hasText: 'before <b>the</b> talk' });
  await row.getByText('Asked for on the desktop, 1 file').waitFor();
  await look(owner.page, 'snapshot-from-inside');
  await done(desk, 'rm ~/Data/essay.txt');
  await row.getByRole('button', { name: /^Restore everything/ }).click();
  await owner.page.keyboard.press('Tab');
  await owner.page.keyboard.press('Enter');
  await dialog.getByText('Everything is restored').last().waitFor({ timeout: DESKTOP_MS });
  assert.equal(await done(desk, 'cat ~/Data/essay.txt'), 'words');
  assert.deepEqual(owner.complaints, []);
  await owner.close();
});

test('the menu leads whoever owns the desktop to its page, and nobody who came by a link', { skip }, async () => {
  const refused = await inside(desk, 'lattice manage');
  assert.equal(refused.status, 1);
  assert.match(refused.said, new RegExp(`nobody who owns .*${serve.origin}/#desktop/${desk}`));
  const { url } = await serve.ask(token, 'POST', `/api/v1/sessions/${desk}/links`, { role: 'control' });
  serve.secrets.add(url.split('/').at(-1));
  const guest = await open(browser, `${serve.origin}${new URL(url).pathname}`);
  await desktopIsThere(guest.page);
  assert.match((await inside(desk, 'lattice manage')).said, /nobody who owns/);

  const owner = await home();
  await owner.page.goto(`${serve.origin}/d/${desk}`);
  await desktopIsThere(owner.page);
  await settled(owner.page);
  // The entry's own command, found as the menu finds it.
  const entry = '/run/lattice/desktop/share/applications/lattice-manage.desktop';
  await done(desk, `command -v "$(sed -n 's/^TryExec=//p' ${entry})" && $(sed -n 's/^Exec=//p' ${entry})`);
  await offer(owner.page).getByText('This desktop’s page').waitFor();
  await shoot(owner.page, 'inside-page-offered');
  assert.ok(await owner.page.evaluate(() => document.activeElement?.id === 'screen'), 'who types goes on typing');
  assert.ok(await offer(guest.page).isHidden());
  const [page] = await Promise.all([
    owner.page.context().waitForEvent('page'),
    offer(owner.page).getByRole('link', { name: 'Open it' }).click(),
  ]);
  await page.getByRole('heading', { name: 'Shop' }).first().waitFor();
  assert.equal(new URL(page.url()).hash, `#desktop/${desk}`);
  await look(page, 'page-from-inside');
  assert.ok(await offer(owner.page).isHidden());
  await waitState(owner.page, 'live');
  assert.deepEqual([...owner.complaints, ...guest.complaints], []);
  await guest.close();
  await owner.close();
});

test('the menu has the entry, which does the same', { skip }, async () => {
  const owner = await home();
  await owner.page.goto(`${serve.origin}/d/${desk}`);
  await desktopIsThere(owner.page);
  await settled(owner.page);
  await owner.page.locator('#screen').focus();
  await eventually('the menu to have offered it', async () => {
    await done(desk, 'xfce4-popup-whiskermenu');
    await new Promise((resolve) => { setTimeout(resolve, 1500); });
    await owner.page.keyboard.type('manage this', { delay: 30 });
    await new Promise((resolve) => { setTimeout(resolve, 800); });
    await shoot(owner.page, 'inside-menu-entry');
    await owner.page.keyboard.press('Enter');
    await new Promise((resolve) => { setTimeout(resolve, 1500); });
    if (await offer(owner.page).isVisible()) return true;
    await owner.page.keyboard.press('Escape');
    return false;
  }, DESKTOP_MS);
  await owner.close();
});
