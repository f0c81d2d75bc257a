// @ts-check
/** Behind the reverse proxies of `deploy/proxies`, the desktop is as live and as exact as without. */

import assert from 'node:assert/strict';
import { request as overHttp } from 'node:http';
import { request as overTls } from 'node:https';
import { after, before, test } from 'node:test';
import { launch, open, shoot, waitState } from '../lib/browser.mjs';
import { assertExact } from '../lib/picture.mjs';
import { HOST, HOST_WITH_PATH, Proxy, freePort } from '../lib/proxies.mjs';
import { FLOWS } from '../lib/school.mjs';
import { Serve } from '../lib/serve.mjs';
import { Share } from '../lib/share.mjs';
import { Stage } from '../lib/stage.mjs';
import { eventually } from '../lib/wait.mjs';

/** @import { Kind } from '../lib/proxies.mjs' */

/** Wrong tokens that one address may send in a minute (server/gateway/src/auth.rs). */
const MAX_FAILURES = 60;

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Stage} */
let stage;
before(async () => {
  browser = await launch([`--host-resolver-rules=MAP ${HOST} 127.0.0.1, MAP ${HOST_WITH_PATH} 127.0.0.1`]);
  stage = await Stage.start(1366, 768);
  await stage.say('type-log');
});
after(async () => {
  await browser.close();
  await stage.end();
});

/** @typedef {{ port: number, direct: number, token: string, base: string, nested: string }} Setting */

/** @param {Kind} kind @param {(setting: Setting, share: Share) => Promise<void>} body */
async function behind(kind, body) {
  const [port, direct] = [await freePort(), await freePort()];
  const [base, nested] = [`https://${HOST}:${port}`, `https://${HOST_WITH_PATH}:${port}/lattice`];
  const share = await Share.start(stage, '--listen', `127.0.0.1:${direct}`, '--trusted-proxy', '127.0.0.1',
    '--public-url', base, '--public-url', nested);
  /** @type {Proxy | null} */
  let proxy = null;
  try {
    proxy = await Proxy.start(kind, port, direct);
    await body({ port, direct, token: share.token, base, nested }, share);
  } catch (error) {
    console.log(`--- log of lattice share ---\n${share.log}`);
    throw error;
  } finally {
    await proxy?.end();
    await share.end();
  }
}

/** The page at this address is live, exact, and takes keys. @param {string} url @param {string} name */
async function use(url, name) {
  const { page, complaints, close } = await open(browser, url, { ignoreHTTPSErrors: true });
  try {
    await waitState(page, 'live');
    await stage.say('clear');
    await page.locator('#screen').focus();
    await page.keyboard.type('Typed through it.');
    await eventually('what was typed to arrive', async () => (await stage.typed()).text === 'Typed through it.');
    await stage.say('scroll', 20);
    await assertExact(page, stage);
    await shoot(page, name);
    // By the cookie, since the secret has left the address.
    assert.equal(new URL(page.url()).hash, '');
    await page.reload();
    await waitState(page, 'live');
    await assertExact(page, stage);
    assert.deepEqual(complaints, []);
  } finally {
    await close();
  }
}

/**
 * What people do at a school's server, below a path.
 * @param {Kind} kind
 * @param {import('node:test').TestContext} context
 */
async function schoolBehind(kind, context) {
  const [port, direct] = [await freePort(), await freePort()];
  const base = `https://${HOST_WITH_PATH}:${port}/lattice`;
  const serve = await Serve.at(`127.0.0.1:${direct}`, '--open', '--trusted-proxy', '127.0.0.1', '--public-url', base);
  /** @type {Proxy | null} */
  let proxy = null;
  try {
    proxy = await Proxy.start(kind, port, direct);
    assert.ok(serve.url.startsWith(`${base}/enter`), serve.url);
    const school = { browser, serve, token: await serve.admin('token'), base, name: `proxy-${kind}`, options: { ignoreHTTPSErrors: true } };
    for (const [name, flow] of FLOWS) await context.test(name, () => flow(school));
  } finally {
    await proxy?.end();
    await serve.end();
  }
}

/** What is missing is said by a page that finds its style. @param {string} url */
async function miss(url) {
  const { page, complaints, close } = await open(browser, url, { ignoreHTTPSErrors: true });
  assert.equal(await page.locator('h1').textContent(), 'There is nothing here');
  const sheets = await page.evaluate(() => [...document.styleSheets].map((sheet) => sheet.cssRules.length > 0));
  assert.deepEqual(sheets, [true, true], 'both style sheets are there');
  assert.deepEqual(complaints, []);
  await close();
}

/**
 * @typedef {{ host?: string, from?: string, path?: string, headers?: Record<string, string>, body?: string }} Request
 * @param {string} origin
 * @param {Request} request
 * @returns {Promise<{ status: number, headers: import('node:http').IncomingHttpHeaders }>}
 */
function ask(origin, { host, from = '127.0.0.1', path = '/', headers = {}, body }) {
  const { protocol, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const request = protocol === 'https:' ? overTls : overHttp;
    const sent = request({
      host: '127.0.0.1', port, localAddress: from, path, method: body === undefined ? 'GET' : 'POST', agent: false,
      rejectUnauthorized: false, servername: HOST, headers: { host: host ?? new URL(origin).host, ...headers },
    }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Swaps a token. @param {string} token */
const swap = (token) => ({
  path: '/api/v1/share', body: JSON.stringify({ token }), headers: { 'content-type': 'application/json' },
});
const WRONG = swap('w'.repeat(43));

/** What a liar would write. @param {string} address */
const lies = (address) => ({
  'x-forwarded-for': address, 'x-forwarded-proto': 'http', 'x-forwarded-host': 'evil.example',
  forwarded: `for=${address};proto=http;host=evil.example`,
});

/** Sends wrong tokens until they are not looked at any more. @param {string} origin @param {Request} request */
async function exhaust(origin, request) {
  for (let at = 0; at < MAX_FAILURES; at += 1) {
    const headers = { ...request.headers, ...WRONG.headers, ...lies(`198.51.100.${at}`) };
    const { status } = await ask(origin, { ...WRONG, ...request, headers });
    assert.equal(status, 401, `attempt ${at}`);
  }
  const { status } = await ask(origin, { ...WRONG, ...request, headers: { ...WRONG.headers, ...lies('198.51.100.99') } });
  assert.equal(status, 429, 'whatever it says of itself, it is one client');
}

for (const kind of /** @type {Kind[]} */ (['nginx', 'caddy', 'haproxy'])) {
  test(`behind ${kind} it is live, exact, and takes keys`, () => behind(kind, async ({ base, token }, share) => {
    assert.equal(share.url, `${base}/d/share#${token}`, 'the address that is printed is the proxy’s');
    await use(share.url, `proxy-${kind}`);
    await miss(`${base}/no/such/page`);
  }));

  test(`below a path of ${kind} it is, too`, () => behind(kind, async ({ nested, token }) => {
    await use(`${nested}/d/share#${token}`, `proxy-${kind}-path`);
    // Both with the slash and without it leads to the desktop.
    for (const start of [nested, `${nested}/`]) {
      const { page, close } = await open(browser, start, { ignoreHTTPSErrors: true });
      assert.equal(page.url(), `${nested}/d/share`);
      await close();
    }
    await miss(`${nested}/no/such/page`);
  }));

  test(`people sign in, work, share, take back and sign out below a path of ${kind}`, (context) => schoolBehind(kind, context));

  test(`${kind} says who asks, and nobody else does`, () => behind(kind, async ({ base, direct, token }) => {
    const { host } = new URL(base);
    const right = await ask(base, { ...swap(token), headers: { ...swap(token).headers, ...lies('198.51.100.1') } });
    assert.equal(right.status, 204, 'the proxy overwrites what its clients say');
    assert.match(String(right.headers['set-cookie']), /; Secure/);
    await exhaust(base, { from: '127.0.0.5' });
    assert.equal((await ask(base, { ...WRONG, from: '127.0.0.6' })).status, 401, 'clients are told apart');

    // Past the proxy, from an address that is not trusted: what it says of itself counts for nothing.
    const own = `http://127.0.0.1:${direct}`;
    const past = (/** @type {Request} */ request) => ask(own, { from: '127.0.0.9', ...request });
    await exhaust(own, { from: '127.0.0.9' });
    assert.equal((await ask(base, { ...WRONG, from: '127.0.0.6' })).status, 401, 'nobody else pays for it');
    const victim = { ...WRONG, headers: { ...WRONG.headers, 'x-forwarded-for': '127.0.0.7' } };
    assert.equal((await past(victim)).status, 429);
    assert.equal((await ask(base, { ...WRONG, from: '127.0.0.7' })).status, 401);
    const forged = { 'x-forwarded-proto': 'https', 'x-forwarded-host': host, forwarded: `proto=https;host="${host}"` };
    assert.equal((await past({ host: 'evil.example', headers: forged })).status, 421);
    const { status, headers } = await past({ ...swap(token), headers: { ...swap(token).headers, ...forged } });
    assert.equal(status, 204);
    assert.doesNotMatch(String(headers['set-cookie']), /; Secure/);
  }));
}
