// @ts-check
/** A real server's desktops on the home page: what they show, how they are thrown away and taken back, and what the page weighs. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, shoot, waitState } from '../lib/browser.mjs';
import { card, faults } from '../lib/home.mjs';
import { DESKTOP_MS, desktopIsThere, openTerminal } from '../lib/school.mjs';
import { Serve } from '../lib/serve.mjs';
import { eventually, sleep } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** What a browser is sent for the home page at first, in bytes. */
const FIRST_LOAD = 120 * 1024;

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Serve} */
let serve;
/** @type {string} */
let token;

before(async () => {
  browser = await launch();
  serve = await Serve.start('--open');
  token = await serve.admin('token');
});

after(async () => {
  await browser.close();
  await serve.end();
});

/** How many colours of 16 a card's picture has, and what it hashes to; null where it shows none. @param {Page} page */
const picture = (page) => page.locator('.still').first().evaluate((canvas) => {
  if (!(canvas instanceof HTMLCanvasElement) || canvas.dataset.shown !== 'true') return null;
  const { data } = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d')).getImageData(0, 0, canvas.width, canvas.height);
  const seen = new Set();
  let hash = 7;
  for (let at = 0; at < data.length; at += 4) {
    seen.add(((data[at] ?? 0) >> 4) << 8 | ((data[at + 1] ?? 0) >> 4) << 4 | (data[at + 2] ?? 0) >> 4);
    hash = (hash * 31 + (data[at] ?? 0) * 65536 + (data[at + 1] ?? 0) * 256 + (data[at + 2] ?? 0)) % 4_294_967_291;
  }
  return { colours: seen.size, hash, width: canvas.width };
});

/** @param {() => Promise<unknown>} check @param {string} what */
const soon = (what, check) => eventually(what, check, DESKTOP_MS);

test('the home page shows what a desktop shows, with nobody in it and with somebody', async () => {
  const { page, complaints, close } = await open(browser, serve.url);
  await desktopIsThere(page);
  const session = new URL(page.url()).pathname.split('/').at(-1) ?? '';
  await page.goto(serve.origin);
  await waitState(page, 'in');
  await soon('a picture of more than an empty screen', async () => ((await picture(page))?.colours ?? 0) > 8);
  await shoot(page, 'desktops-real-light');
  const before = await picture(page);
  assert.ok((before?.width ?? 0) > 200);

  const other = await page.context().newPage();
  await other.goto(`${serve.origin}/d/${session}`);
  await desktopIsThere(other);
  await openTerminal(serve, other);
  await page.bringToFront();
  await soon('the picture to follow', async () => (await picture(page))?.hash !== before?.hash);
  const grabs = async () => Number(/lattice_agent_grabs_total (\d+)/.exec(await (await fetch(`${serve.direct}/metrics`, { headers: { Authorization: `Bearer ${token}` } })).text())?.[1] ?? 0);
  await other.close();
  await page.goto('about:blank');
  await eventually('nothing to be made for whom nobody is', async () => {
    const before = await grabs();
    await sleep(9000);
    return (await grabs()) === before;
  }, DESKTOP_MS);
  assert.deepEqual(complaints, []);
  await close();
});

test('a picture is for those alone who may watch', async () => {
  const [{ id }] = (await serve.ask(token, 'GET', '/api/v1/sessions')).sessions;
  const path = `${serve.direct}/api/v1/sessions/${id}/picture`;
  const mine = await fetch(path, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(mine.status, 200);
  assert.equal(mine.headers.get('content-type'), 'image/png');
  assert.equal(mine.headers.get('cache-control'), 'no-store');
  assert.equal(mine.headers.get('x-content-type-options'), 'nosniff');
  assert.match(mine.headers.get('content-security-policy') ?? '', /sandbox/);
  assert.equal((await fetch(path)).status, 401);
  await serve.ask(token, 'POST', '/api/v1/users', { name: 'mallory' });
  const stranger = await serve.admin('token', '--user', 'mallory');
  assert.equal((await fetch(path, { headers: { Authorization: `Bearer ${stranger}` } })).status, 404);
});

test('a desktop that is deleted by a slip is back with what was open in it', async () => {
  const { page, complaints, close } = await open(browser, await serve.admin('url'));
  await page.getByRole('button', { name: 'Not now' }).click();
  await waitState(page, 'in');
  const name = await page.locator('.desk h3').first().innerText();
  const usage = async () => (await serve.ask(token, 'GET', '/api/v1/sessions')).sessions[0]?.usage;
  const since = (await usage())?.since;
  assert.ok(since, 'it says since when it runs');
  await page.getByRole('button', { name: `Delete ${name}` }).click();
  await page.locator('.thrown').getByText('what is open in it is still open').waitFor();
  assert.deepEqual((await serve.ask(token, 'GET', '/api/v1/sessions')).sessions, []);
  await page.locator('.toast').getByRole('button', { name: 'Undo' }).click();
  await card(page, name).getByRole('link', { name: `Open ${name}` }).waitFor({ timeout: DESKTOP_MS });
  assert.equal((await usage())?.since, since, 'it has never ended');

  await page.getByRole('button', { name: `More for ${name}` }).click();
  await page.getByRole('button', { name: 'Rename…' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('Biology');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await card(page, 'Biology').getByRole('link', { name: 'Biology', exact: true }).click();
  await page.getByRole('heading', { name: 'Biology', level: 1 }).waitFor();
  await page.getByText(/^\d+(\.\d)? (MB|GB)$/).first().waitFor({ timeout: DESKTOP_MS });
  await shoot(page, 'desktops-real-project');
  assert.deepEqual(await faults(page), []);
  await page.getByRole('button', { name: 'Restart', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Restart' }).click();
  await soon('it to have been started anew', async () => {
    const now = (await usage())?.since;
    return now && now !== since;
  });
  assert.deepEqual(complaints, []);
  await close();
});

test('the page goes on by itself after the gateway was away', async () => {
  const { page, close } = await open(browser, await serve.admin('url'));
  await page.getByRole('button', { name: 'Not now' }).click();
  await waitState(page, 'in');
  await card(page, 'Biology').waitFor();
  await serve.kill();
  await page.getByText('What you see may be old').waitFor();
  await shoot(page, 'desktops-real-away');
  await serve.launch();
  await page.getByText('What you see may be old').waitFor({ state: 'detached', timeout: DESKTOP_MS });
  await soon('a picture again', async () => ((await picture(page))?.colours ?? 0) > 8);
  await close();
});

test('the first load is small', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send('Network.enable');
  let bytes = 0;
  cdp.on('Network.loadingFinished', ({ encodedDataLength }) => { bytes += encodedDataLength; });
  await page.goto(await serve.admin('url'));
  await page.getByRole('button', { name: 'Not now' }).waitFor();
  bytes = 0;
  await page.goto(serve.origin);
  await waitState(page, 'in');
  await page.locator('.desk[data-session]').first().waitFor();
  const pictures = await page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/picture'))
    .reduce((sum, entry) => sum + /** @type {PerformanceResourceTiming} */ (entry).encodedBodySize, 0));
  console.log(`# the home page: ${bytes - pictures} bytes compressed, and ${pictures} of pictures`);
  assert.ok(bytes - pictures <= FIRST_LOAD, `${bytes - pictures} bytes`);
  await context.close();
});
