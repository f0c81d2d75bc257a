// @ts-check
/**
 * Lattice as the README has people deploy it: from images to a desktop in a browser, by the Compose file
 * and by one `docker run`, each as it is written there, and down again without a trace.
 */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { launch, open, shoot } from '../lib/browser.mjs';
import { Stack } from '../lib/engine.mjs';
import { PROGRAM_MS, Seat } from '../lib/seat.mjs';
import { eventually } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** @type {import('playwright-core').Browser} */
let browser;

before(async () => { browser = await launch(); });
after(() => browser.close());

/** From the printed address to a desktop that does what it is told. @param {Stack} stack @param {string} name of screenshots */
async function check(stack, name) {
  const url = await stack.url();
  assert.match(url, /^https:\/\/localhost:\d+\/enter#\S+$/);
  // The certificate is of an authority that the server has just made.
  const { page, complaints, close } = await open(browser, url, { ignoreHTTPSErrors: true });
  try {
    await work(stack, page, name);
  } catch (error) {
    await shoot(page, `${name}-failed`);
    throw error;
  }
  assert.deepEqual(complaints, []);
  await close();
}

/** Somebody starts a desktop, has it make a file, and deletes it. @param {Stack} stack @param {Page} page @param {string} name */
async function work(stack, page, name) {
  await page.getByRole('button', { name: 'Not now' }).click();
  const places = { run: await stack.volume('run'), data: await stack.volume('data') };
  const seat = await Seat.take(page, 'Plain desktop', places, name);
  const before = await seat.rest();
  await seat.shoot('desktop');
  await seat.open('terminal', /^Terminal/);
  await seat.shell([683, 400]);
  await seat.type('echo "made in a container" | tee ~/Data/made.txt\n');
  await seat.file('made.txt', /^made in a container\n$/);
  assert.notEqual(await seat.rest(), before, 'it is seen');
  await seat.shoot('terminal');
  seat.end();
  await stop(page);
  await eventually('the desktop to be gone', () => !existsSync(`${places.run}/${seat.session}`), PROGRAM_MS);
}

/** Deletes the only desktop for good, as its owner does. @param {Page} page */
async function stop(page) {
  await page.goto(new URL('/', page.url()).href);
  await page.getByRole('button', { name: /^Delete / }).click();
  await page.getByRole('heading', { name: 'Start your first desktop' }).waitFor({ timeout: PROGRAM_MS });
  // Until then it could be had back.
  await page.getByRole('button', { name: /^Delete now: / }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete for good' }).click();
  await page.getByRole('heading', { name: 'Recently deleted' }).waitFor({ state: 'detached' });
}

for (const way of /** @type {const} */ (['compose', 'run'])) {
  const title = { compose: 'docker-compose up -d', run: 'one docker run' }[way];
  test(`${title}: the printed address leads to a desktop, and nothing is left of it`, async () => {
    const stack = await Stack[way]();
    try {
      await check(stack, `deploy-${way}`);
      assert.deepEqual(await stack.end(), [], 'nothing of it is left');
    } catch (error) {
      console.log(await stack.log().catch(String));
      throw error;
    } finally {
      await stack.raze();
    }
  });
}
