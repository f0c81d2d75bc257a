// @ts-check
/** The network fails for a while: a desktop's tab comes back by itself, and no key is left down. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, shoot, state, stats, waitState } from '../lib/browser.mjs';
import { visible } from '../lib/picture.mjs';
import { freePort } from '../lib/proxies.mjs';
import { Relay } from '../lib/relay.mjs';
import { DESKTOP_MS, desktopIsThere, made, openTerminal } from '../lib/school.mjs';
import { Serve } from '../lib/serve.mjs';
import { GENEROUS_MS, eventually, patience, sleep } from '../lib/wait.mjs';
import { Display } from '../lib/x11.mjs';

/** Left Shift and left Control on every keyboard that X knows as a PC's. */
const [SHIFT, CONTROL] = [50, 37];

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Serve} */
let serve;
/** @type {Relay} */
let relay;
/** @type {Display} */
let display;
/** @type {Awaited<ReturnType<typeof open>>} */
let opened;
/** @type {import('playwright-core').Page} */
let page;
let session = '';

before(async () => {
  browser = await launch();
  const port = await freePort();
  relay = await Relay.start(port);
  serve = await Serve.at(`127.0.0.1:${port}`, '--open', '--public-url', `http://127.0.0.1:${relay.port}`);
  opened = await open(browser, serve.url);
  ({ page } = opened);
  await desktopIsThere(page);
  session = new URL(page.url()).pathname.split('/').at(-1) ?? '';
  display = await Display.of(serve.data, session);
  await openTerminal(serve, page);
});

after(async () => {
  await browser.close();
  display?.end();
  relay.end();
  await serve.end();
});

/** The canvas shows what the X server does. */
async function exact() {
  await eventually('the picture to be that of the X server', async () => {
    if (!(await stats(page)).exact) return false;
    const [shown, real] = [await visible(page), await display.image()];
    return shown.width === real.width && shown.height === real.height && shown.data.equals(real.data);
  }, DESKTOP_MS);
}

/** @param {number[]} codes */
const holds = (...codes) => eventually(`the keys [${codes}] to be down and no others`, async () => (
  String(await display.held()) === String(codes.toSorted((a, b) => a - b))));

/**
 * The network fails in the middle of a word, with a key down and another one pressed meanwhile.
 * @param {string} word of letters
 * @param {() => Promise<void>} fail until it works again
 */
async function interrupted(word, fail) {
  await waitState(page, 'live', GENEROUS_MS);
  await page.locator('#screen').focus();
  await page.keyboard.type(`touch ~/${word}-bef`, { delay: 15 });
  await holds();
  await page.keyboard.down('Shift');
  await holds(SHIFT);
  await fail();
  const healed = Date.now();
  await waitState(page, 'live', patience(GENEROUS_MS));
  console.log(`# ${word}: live ${Date.now() - healed} ms after the network was back`);
  await holds();
  await page.keyboard.type('ore-and-after\n', { delay: 15 });
  await eventually('the word to be whole', () => made(serve, `${word}-before-and-after`));
  await exact();
}

/** @param {number} ms */
async function hole(ms) {
  relay.hole();
  await page.keyboard.down('Control');
  await sleep(ms / 2);
  await page.keyboard.up('Control');
  await page.keyboard.up('Shift');
  await sleep(ms / 2);
}

test('after three seconds without a network all goes on as if nothing had been', async () => {
  await interrupted('three', async () => {
    await hole(3000);
    assert.equal(await state(page), 'live');
    relay.heal();
  });
});

test('after ten seconds the same connection goes on', async () => {
  await interrupted('ten', async () => {
    await hole(10_000);
    assert.equal(await state(page), 'lagging', 'it is said that the picture is behind');
    await shoot(page, 'blip-lagging');
    relay.heal();
  });
});

test('after longer the connection is made anew, and keys that were down come up', async () => {
  await interrupted('twenty', async () => {
    await hole(20_000);
    assert.equal(await state(page), 'reconnecting');
    assert.deepEqual(await display.held(), [], 'the server did not wait for the page to let go');
    await shoot(page, 'blip-reconnecting');
    relay.heal();
  });
});

test('keys that somebody goes on holding through it are not down on the desktop when it comes back', async () => {
  await page.keyboard.down('Control');
  await holds(CONTROL);
  relay.hole();
  await eventually('the server to let go', async () => (await display.held()).length === 0, patience(30_000));
  relay.heal();
  await waitState(page, 'live', patience(GENEROUS_MS));
  await holds();
  await page.keyboard.up('Control');
  await holds();
  await page.keyboard.type('touch ~/held-through\n', { delay: 15 });
  await eventually('keys to mean what they say', () => made(serve, 'held-through'));
});

test('a connection that is cut is made anew at once', async () => {
  await interrupted('cut', async () => {
    relay.cut();
    await waitState(page, 'reconnecting', patience(3000));
    await page.keyboard.up('Shift');
  });
});

test('a connection that only this end still believes in is given up within half a minute', async () => {
  await interrupted('stranded', async () => {
    relay.strand();
    const stranded = Date.now();
    await page.keyboard.up('Shift');
    await waitState(page, 'reconnecting', patience(30_000));
    console.log(`# noticed after ${Date.now() - stranded} ms`);
  });
});

test('nobody complained', async () => {
  assert.deepEqual(opened.complaints, []);
  await opened.close();
});
