// @ts-check
/** What holds for all pages around the desktops: names are text, the keyboard suffices, nothing is faint or moves unasked. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, waitState } from '../lib/browser.mjs';
import { House, MEMBER, SCHEMES, doubleOnly, faint, fill, look, press, visits } from '../lib/home.mjs';
import { eventually } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** What becomes of it as markup would be seen at once. */
const EVIL = '<svg onload=alert(1)>"\'><img src=x onerror=alert(2)>';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {House} */
let house;
/** @type {ReturnType<typeof visits>['visit']} */
let visit;
/** @type {ReturnType<typeof visits>['visitAsMember']} */
let visitAsMember;
/** @type {ReturnType<typeof visits>['visitAsAdmin']} */
let visitAsAdmin;

before(async () => {
  browser = await launch();
  house = await House.open();
  ({ visit, visitAsMember, visitAsAdmin } = visits(browser, house));
});

after(async () => {
  await browser.close();
  await house.close();
});

test('names are text wherever they are shown', doubleOnly(), async () => {
  const { double, admin } = house.reset();
  const evil = double.addUser({ name: EVIL, display_name: EVIL, password: 'x' });
  const theirs = double.addSession({ owner: evil, name: EVIL, reason: EVIL, state: 'failed', template: EVIL });
  double.addSession({ owner: admin, name: EVIL, watchers: [{ viewer: 1, name: EVIL, role: 'view', driving: false, you: false }] });
  await visitAsAdmin('/', async (page) => {
    await page.getByRole('button', { name: `Share ${EVIL}` }).click();
    await page.getByRole('dialog').getByText(EVIL).first().waitFor();
    await look(page, 'evil-share');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: `Delete ${EVIL}` }).click();
    await page.locator('.thrown').getByText(EVIL).first().waitFor();
    await page.locator('.toast').getByText(EVIL).waitFor();
    await look(page, 'evil-deleted');
    await page.locator('.toast').getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('link', { name: EVIL, exact: true }).click();
    await page.getByRole('heading', { name: EVIL, level: 1 }).waitFor();
    await look(page, 'evil-project');
    await page.goto(`${house.url}/#mine`);
    await page.goto(`${house.url}/#all`);
    await page.locator(`.desk[data-session="${theirs.id}"]`).getByText(EVIL).first().waitFor();
    await look(page, 'evil-all');
    await page.goto(`${house.url}/#people`);
    await page.getByRole('listitem', { name: EVIL }).waitFor();
    await look(page, 'evil-people');
    assert.equal(await page.locator('img, svg[onload], script:not([src])').count(), 0, 'nothing of it became an element');
  });
});

test('everything is reached and done by keyboard alone', doubleOnly(), async () => {
  house.reset();
  await visit('/', async (page) => {
    await eventually('the name to have the focus', () => page.evaluate(() => document.activeElement?.id === 'f-name'));
    await page.keyboard.type(MEMBER.name);
    await page.keyboard.press('Tab');
    await page.keyboard.type(MEMBER.password);
    await page.keyboard.press('Enter');
    await waitState(page, 'in');
    await press(page, 'Start a desktop');
    await page.getByRole('link', { name: /^Open/ }).waitFor();
    await press(page, /^Share/);
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    await page.keyboard.press('ArrowDown');
    assert.ok(await dialog.getByRole('radio', { name: /^Assist/ }).isChecked());
    await press(page, 'Create link');
    await eventually('the way to copy to have the focus', () => page.evaluate(() => document.activeElement?.textContent === 'Copy'));
    await press(page, /^Revoke/);
    await dialog.getByText('Nobody else can open this desktop').waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await press(page, /^Delete/);
    await page.getByText('Start your first desktop').waitFor();
    await press(page, /^Account of/);
    await press(page, 'Sign out');
    await waitState(page, 'out');
  });
});

test('nothing moves for who wants no motion, and nothing shifts while it loads', doubleOnly(), async () => {
  const made = house.reset();
  fill(made);
  await visitAsMember('/', async (page) => {
    await page.getByRole('heading', { name: 'Shared with me' }).waitFor();
    const running = await page.evaluate(() => document.getAnimations().filter((animation) => animation.playState === 'running').length);
    assert.equal(running, 0);
    await page.addInitScript(() => {
      Object.assign(window, { shift: 0 });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) /** @type {any} */ (window).shift += /** @type {any} */ (entry).value;
      }).observe({ type: 'layout-shift', buffered: true });
    });
    await page.reload();
    await page.getByRole('heading', { name: 'Shared with me' }).waitFor();
    await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));
    const shift = await page.evaluate(() => /** @type {any} */ (window).shift);
    assert.ok(shift < 0.02, `shifted by ${shift}`);
  }, { reducedMotion: 'reduce' });
});

test('text and what is operated stand out enough from what is behind', doubleOnly(), async () => {
  const made = house.reset();
  fill(made);
  for (const colorScheme of SCHEMES) {
    await visitAsMember('/', async (page) => {
      await page.getByRole('heading', { name: 'Shared with me' }).waitFor();
      assert.deepEqual(await faint(page), [], colorScheme);
      await page.getByRole('button', { name: /^Share Maths/ }).click();
      await page.getByRole('dialog').getByText('Who is there').waitFor();
      assert.deepEqual(await faint(page, 'dialog'), [], colorScheme);
    }, { colorScheme, reducedMotion: 'reduce' });
  }
});
