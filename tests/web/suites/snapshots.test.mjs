// @ts-check
/** What somebody destroyed comes back by a few clicks, from a real server. */

import assert from 'node:assert/strict';
import { chownSync, existsSync, lstatSync, readFileSync, readdirSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, open } from '../lib/browser.mjs';
import { card, look } from '../lib/home.mjs';
import { DESKTOP_MS } from '../lib/school.mjs';
import { Serve } from '../lib/serve.mjs';
import { eventually } from '../lib/wait.mjs';

/** A picture of one pixel, as PNG. */
const PICTURE = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==', 'base64');

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Serve} */
let serve;

before(async () => {
  browser = await launch();
  serve = await Serve.start();
});

after(async () => {
  await browser.close();
  await serve.end();
});

/** Data of the only user who has any. */
function data() {
  const homes = join(serve.data, 'homes');
  const owner = readdirSync(homes).find((name) => existsSync(join(homes, name, 'data')));
  return join(homes, String(owner), 'data');
}

/** As a program of the desktop would. @param {string} name @param {string | Buffer} content */
function write(name, content) {
  const path = join(data(), name);
  const { uid, gid } = lstatSync(data());
  writeFileSync(path, content);
  chownSync(path, uid, gid);
}

test('a snapshot is made, looked into, and put back, by mouse and by keyboard', async () => {
  const { page, complaints, close } = await open(browser, await serve.admin('url'));
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.getByRole('heading', { name: 'My desktops' }).waitFor();
  const token = await serve.admin('token');
  const made = /** @type {{ id: string }} */ (await serve.ask(token, 'POST', '/api/v1/sessions', { template: 'desktop', name: 'Maths' }));
  await eventually('the desktop to run', async () => {
    const { state } = /** @type {{ state: string }} */ (await serve.ask(token, 'GET', `/api/v1/sessions/${made.id}`));
    return state === 'running';
  }, DESKTOP_MS);
  mkdirSync(join(data(), 'project'));
  write('essay.txt', 'Once upon a time\n');
  write('project/picture.png', PICTURE);
  write('project/film.bin', Buffer.from([1, 0, 2]));

  const dialog = page.getByRole('dialog', { name: 'Snapshots of Maths' });
  const openIt = async () => {
    await card(page, 'Maths').getByRole('button', { name: 'More for Maths' }).click();
    await page.getByRole('button', { name: 'Snapshots…' }).click();
    await dialog.waitFor();
  };
  await openIt();
  await dialog.getByText('the desktop stands still for a moment').waitFor();
  await dialog.getByRole('button', { name: 'Make one now' }).click();
  const row = dialog.getByRole('listitem').filter({ hasText: 'Asked for, 3 files' });
  await row.waitFor({ timeout: DESKTOP_MS });
  await look(page, 'snapshots');

  await row.getByRole('button', { name: /^Look into/ }).click();
  await dialog.getByRole('button', { name: 'Open the folder project' }).waitFor();
  await look(page, 'snapshots-folder');
  await dialog.getByRole('button', { name: 'Look at essay.txt' }).click();
  await dialog.getByText('Once upon a time').waitFor();
  const download = page.waitForEvent('download');
  await dialog.getByRole('link', { name: 'Download essay.txt' }).click();
  const file = await download;
  assert.equal(file.suggestedFilename(), 'essay.txt');
  assert.equal(readFileSync(await file.path(), 'utf8'), 'Once upon a time\n');
  await dialog.getByRole('button', { name: 'Back' }).click();
  await dialog.getByRole('button', { name: 'Open the folder project' }).click();
  await dialog.getByRole('button', { name: 'Look at picture.png' }).click();
  const picture = dialog.getByRole('img', { name: 'picture.png' });
  await picture.waitFor();
  assert.equal(await picture.evaluate((image) => /** @type {HTMLImageElement} */ (image).decode().then(() => 'shown')), 'shown');
  await dialog.getByRole('button', { name: 'Back' }).click();
  await dialog.getByRole('button', { name: 'Look at film.bin' }).click();
  await dialog.getByText('neither a text nor a picture').waitFor();
  await dialog.getByRole('button', { name: 'Back' }).click();
  await dialog.getByRole('button', { name: 'Snapshots', exact: true }).click();

  // What a program does that wants money for them.
  rmSync(join(data(), 'project'), { recursive: true });
  write('essay.txt', 'send money');
  write('README-PAY.txt', 'send money');
  await row.getByRole('button', { name: /^Restore everything/ }).click();
  await look(page, 'snapshots-question');
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Cancel', 'what changes nothing has the focus');
  await page.keyboard.press('Tab');
  const begun = performance.now();
  await page.keyboard.press('Enter');
  await dialog.getByText('Everything is restored').last().waitFor({ timeout: DESKTOP_MS });
  console.log(`everything was restored ${Math.round(performance.now() - begun)} ms after it was asked for`);
  assert.equal(readFileSync(join(data(), 'essay.txt'), 'utf8'), 'Once upon a time\n');
  assert.ok(readFileSync(join(data(), 'project/picture.png')).equals(PICTURE));
  assert.deepEqual(readdirSync(data()).sort(), ['essay.txt', 'project']);
  await dialog.getByText('Before a restore').waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  assert.deepEqual(complaints, []);
  await close();
});
