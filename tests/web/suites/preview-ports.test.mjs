// @ts-check
/**
 * Previews on ports of the server's own host, where there is no name for them: browsers share cookies between
 * ports, so a page there is nearer to the server's own than one would like. A real server, a program of the
 * test's, and a broker without an engine.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, shoot } from '../lib/browser.mjs';
import { Broker, Program, freePorts } from '../lib/broker.mjs';
import { Serve } from '../lib/serve.mjs';
import { eventually } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

const PORTS = 8;

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Broker} */
let broker;
/** @type {Serve} */
let serve;
/** @type {string} */
let token;
/** The first of the server's ports for previews. */
let first = 0;

before(async () => {
  browser = await launch();
  broker = await Broker.start();
  first = await freePorts(PORTS);
  serve = new Serve();
  serve.environment = { LATTICE_LOG: 'info', LATTICE_DESKTOPS__BROKER: broker.socket, LATTICE_PREVIEW__PORTS: `${first}-${first + PORTS - 1}` };
  await serve.launch('--runtime', 'docker');
  token = await serve.admin('token');
});

after(async () => {
  await browser.close();
  await serve.end();
  broker.end();
});

/** A desktop that runs, with a program on its port. @param {string} title of its page */
async function desktop(title) {
  const { id } = await serve.ask(token, 'POST', '/api/v1/sessions', { template: 'node-vue', name: title });
  const program = new Program(title);
  await broker.serveAt(id, 5173, program);
  await eventually('it to run', async () => (await serve.ask(token, 'GET', `/api/v1/sessions/${id}`)).state === 'running');
  return { id, program };
}

/** The administrator's browser. */
async function owner() {
  const at = await open(browser, await serve.admin('url'));
  await at.page.getByRole('button', { name: 'Not now' }).click();
  await at.page.getByRole('heading', { name: 'My desktops' }).waitFor();
  return at;
}

/** Opens a preview from its desktop's page, in a tab of its own. @param {Page} page @param {string} id @param {string} title */
async function openPreview(page, id, title) {
  await page.goto(new URL(`/#desktop/${id}`, serve.url).href);
  const [preview] = await Promise.all([
    page.context().waitForEvent('page'), page.getByRole('link', { name: 'See port 5173 of VS Code' }).click(),
  ]);
  await preview.getByRole('heading', { name: title }).waitFor();
  return preview;
}

/** Says something by a socket of the page's own address; what came back. @param {Page} page @param {string} text */
const echo = (page, text) => page.evaluate((said) => new Promise((resolve) => {
  const socket = new WebSocket(`ws://${location.host}/echo`);
  socket.onopen = () => socket.send(said);
  socket.onmessage = ({ data }) => { socket.close(); resolve(data); };
  socket.onerror = () => resolve('no socket');
}), text);

/** Has a page's script plant cookies, and says which cookies it can read then. @param {Page} page @param {string[]} cookies */
const plant = (page, cookies) => page.evaluate((all) => {
  for (const cookie of all) document.cookie = cookie;
  return document.cookie;
}, cookies);

/** All that a cookie of a login may be called, or was once. @param {string} value */
function forged(value) {
  const { port } = new URL(serve.url);
  const names = [`__Host-Http-lattice-${port}`, `__Host-lattice-${port}`, `lattice-${port}`, `__Secure-lattice-${port}`];
  return names.flatMap((name) => [`${name}=${value}; Path=/; Secure`, `${name}=${value}; Path=/; Secure; SameSite=Strict`]);
}

test('its owner sees a page on a port, which learns and changes nothing of the server’s', async () => {
  const { id, program } = await desktop('Shop');
  const { page, close } = await owner();
  const preview = await openPreview(page, id, 'Shop');
  const { origin, port } = new URL(preview.url());
  assert.ok(Number(port) >= first && Number(port) < first + PORTS, origin);
  assert.notEqual(origin, serve.origin);
  assert.equal(await echo(preview, 'hello'), 'hello');

  // What it is sent: its own cookie under its own name, and nothing of ours.
  await preview.reload();
  assert.equal(await preview.evaluate(async () => (await fetch('/cookies')).text()), 'id=7');
  const sent = program.asked.map(({ cookie = '' }) => cookie);
  assert.ok(sent.every((cookie) => !/lattice/i.test(cookie)), sent.join('\n'));
  assert.ok(program.asked.every(({ host }) => host === 'localhost:5173'));
  const kept = (await page.context().cookies()).filter(({ name }) => !/lattice/.test(name)).map(({ name }) => name);
  assert.deepEqual(kept, [`preview-${port}-id`], 'neither one for a wider domain nor one that looks like ours');

  // What its script can read and ask for.
  assert.doesNotMatch(await preview.evaluate(() => document.cookie), /lattice/);
  const asked = await preview.evaluate(async (url) => {
    const get = fetch(`${url}/api/v1/me`, { credentials: 'include' }).then((answer) => `read ${answer.status}`, () => 'refused');
    const post = fetch(`${url}/api/v1/logout`, { method: 'POST', credentials: 'include', mode: 'no-cors' }).then(() => 'sent', () => 'refused');
    const worker = navigator.serviceWorker?.register('/worker.js').then(() => 'registered', () => 'refused');
    return [await get, await post, await worker];
  }, serve.origin);
  assert.equal(asked[0], 'refused');
  assert.equal(asked[2], 'refused', 'a service worker would outlive the lease');

  // What it plants changes nothing for who is signed in.
  assert.doesNotMatch(await plant(preview, forged('x'.repeat(43))), /__Host-Http-/);
  await page.goto(serve.origin);
  await page.getByRole('heading', { name: 'My desktops' }).waitFor();
  await shoot(preview, 'preview-on-a-port');
  await close();
});

test('a stranger sees nothing, and by a link this one page, until it is revoked', async () => {
  const { id } = await desktop('Shared');
  const { url: entrance } = await serve.ask(token, 'POST', `/api/v1/sessions/${id}/previews`, { port: 5173 });
  const { origin } = new URL(entrance);
  const { page, close } = await open(browser, origin);
  await page.getByRole('heading', { name: 'Sign in to see this preview' }).waitFor();
  assert.equal(new URL(page.url()).origin, serve.origin, 'the server’s own page says so');
  const refused = await page.request.get(`${origin}/cookies`, { headers: { Accept: '*/*' } });
  assert.equal(refused.status(), 401);

  const link = await serve.ask(token, 'POST', `/api/v1/sessions/${id}/preview-links`, { port: 5173 });
  await page.goto(link.url);
  await page.getByRole('heading', { name: 'Shared' }).waitFor();
  assert.equal(new URL(page.url()).origin, origin);
  assert.equal(await echo(page, 'a guest'), 'a guest');
  const me = await page.request.get(`${serve.origin}/api/v1/me`);
  assert.equal(me.status(), 401, 'nobody is signed in by it');
  await page.evaluate(() => new Promise((resolve) => {
    const socket = new WebSocket(`ws://${location.host}/echo`);
    socket.onopen = () => resolve(undefined);
    socket.onclose = () => { document.title = 'closed'; };
  }));
  await serve.ask(token, 'DELETE', `/api/v1/sessions/${id}/preview-links/${link.id}`);
  await eventually('the socket to end with the link', async () => (await page.title()) === 'closed');
  await page.goto(origin);
  await page.getByRole('heading', { name: 'Sign in to see this preview' }).waitFor();
  await close();
});

test('a page cannot sign in a stranger as whoever made it', async () => {
  // They know their own login, and have a stranger look at their page.
  const evil = await owner();
  const login = (await evil.page.context().cookies(serve.url)).find(({ name }) => /lattice-\d+$/.test(name) && !/preview/.test(name));
  assert.ok(login?.name.startsWith('__Host-Http-'), login?.name);
  const [own] = await serve.ask(token, 'GET', '/api/v1/sessions').then(({ sessions }) => sessions);
  const link = await serve.ask(token, 'POST', `/api/v1/sessions/${own.id}/preview-links`, { port: 5173 });
  const { page, close } = await open(browser, link.url);
  await page.getByRole('heading', { name: own.name }).waitFor();
  await plant(page, forged(login?.value ?? ''));
  const me = await page.request.get(`${serve.origin}/api/v1/me`);
  assert.equal(me.status(), 401);
  await page.goto(serve.origin);
  await page.getByRole('heading', { name: 'Sign in to Lattice' }).waitFor();
  await close();
  await evil.close();
});

test('nobody has more ports than leave some for others, and is told what to do', async () => {
  const { id } = await desktop('Third');
  const { page, close } = await owner();
  await page.goto(new URL(`/preview/${id}/5173`, serve.url).href);
  await page.getByRole('heading', { name: 'This preview cannot be opened' }).waitFor();
  await page.getByText('have 2 pages on ports of the server already').waitFor();
  await page.getByText('preview.domain').waitFor();
  await shoot(page, 'preview-ports-in-use');
  // What there is stays, and those of others are not touched.
  const sessions = (await serve.ask(token, 'GET', '/api/v1/sessions')).sessions;
  const shop = sessions.find((/** @type {{ name: string }} */ { name }) => name === 'Shop');
  assert.equal(new URL((await serve.ask(token, 'POST', `/api/v1/sessions/${shop.id}/previews`, { port: 5173 })).url).port, String(first));
  await close();
});
