// @ts-check
/** What strangers write is text on every page of a real `lattice serve`, and what their own pages do to it comes to nothing. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, open, reachTools, shoot, waitState } from '../lib/browser.mjs';
import { signIn } from '../lib/home.mjs';
import { Serve } from '../lib/serve.mjs';
import { Stranger } from '../lib/stranger.mjs';
import { eventually } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

const DESKTOP_MS = 60_000;
/** Each is as long as a name may be, at most. */
const EVIL = '"><svg onload=alert(1)><img src=x onerror=alert(2)>';
const EVIL_NAME = '<script>alert(3)</script>\'<b onclick=alert(4)>${alert(5)}';
const LONG = 'W'.repeat(64);
/** What cannot be seen, or turns around what follows: a bidi override, an escape of terminals, NUL. */
const HIDDEN = ['\u202Egnp.exe', '\u2066x', '\u001B[31mred', 'a\u0000b', '\u200Bx', 'a\nb'];
const MARKUP = '<svg onload=alert(1)>';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Serve} */
let serve;
/** @type {Stranger} */
let stranger;
let token = '';

before(async () => {
  browser = await launch();
  serve = await Serve.start('--open');
  stranger = await Stranger.start();
  token = await serve.admin('token');
});

after(async () => {
  await browser.close();
  stranger.end();
  await serve.end();
});

/** @param {string} method @param {string} path @param {object} [body] */
const ask = (method, path, body) => serve.ask(token, method, `/api/v1/${path}`, body);

/** Nothing of a text became an element, and nothing is wider than the page. @param {Page} page */
async function harmless(page) {
  const made = await page.evaluate(() => [...document.querySelectorAll('[onload], [onerror], [onclick], img[src="x"], script:not([src]), #app b[onclick]')].map(({ outerHTML }) => outerHTML));
  assert.deepEqual(made, [], page.url());
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `${page.url()} is ${over} pixels too wide`);
  const out = await page.evaluate(() => [...document.querySelectorAll('button')].filter((button) => {
    const { left, right, width } = button.getBoundingClientRect();
    return width > 0 && button.checkVisibility({ visibilityProperty: true }) && (left < 0 || right > innerWidth);
  }).map(({ textContent, ariaLabel }) => ariaLabel ?? textContent));
  assert.deepEqual(out, [], `out of view at ${page.url()}`);
}

/** Wide and narrow. @param {Page} page @param {string} name */
async function harmlessAtAnySize(page, name) {
  for (const width of [1366, 360]) {
    await page.setViewportSize({ width, height: 768 });
    await harmless(page);
    await shoot(page, `strangers-${name}-${width}`);
  }
  await page.setViewportSize({ width: 1366, height: 768 });
}

/** Somebody with a password. @param {string} name @param {string} display */
async function person(name, display) {
  const who = { name, password: 'battery staple' };
  await ask('POST', 'users', { ...who, display_name: display });
  return who;
}

test('names of people and desktops are text on every page', async () => {
  const evil = await person('mallory', EVIL_NAME);
  const long = await person(LONG.toLowerCase(), LONG);
  const home = await open(browser, serve.origin);
  await signIn(home.page, evil);
  const made = await home.page.evaluate(async ({ names }) => {
    const ids = [];
    for (const name of names) {
      const answer = await fetch('api/v1/sessions', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ template: 'desktop', name }) });
      ids.push((await answer.json()).id);
    }
    return ids;
  }, { names: [EVIL, LONG] });
  const [id = '', other = ''] = made;
  await home.page.getByRole('heading', { name: EVIL, exact: true }).waitFor();
  await home.page.getByRole('heading', { name: LONG, exact: true }).waitFor();
  await harmlessAtAnySize(home.page, 'home');
  await home.page.getByRole('button', { name: `Account of ${EVIL_NAME}` }).click();
  await home.page.locator('#account').getByText(EVIL_NAME).waitFor();
  await harmless(home.page);
  await home.page.keyboard.press('Escape');
  await home.page.getByRole('button', { name: `Share ${EVIL}` }).click();
  await home.page.getByRole('dialog').getByText(EVIL).first().waitFor();
  await harmlessAtAnySize(home.page, 'share');
  await home.page.keyboard.press('Escape');
  await ask('POST', `sessions/${other}/stop`);

  const { url } = await home.page.evaluate(async (session) => {
    const answer = await fetch(`api/v1/sessions/${session}/links`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"role":"control"}' });
    return answer.json();
  }, id);
  await home.page.goto(`${serve.origin}/d/${id}`);
  await waitState(home.page, 'live', DESKTOP_MS);
  assert.equal(await home.page.title(), `${EVIL} · Lattice`);
  const guest = await open(browser, serve.origin);
  await signIn(guest.page, long);
  await guest.page.goto(url);
  await guest.page.waitForURL(/\/d\//);
  await waitState(guest.page, 'live', DESKTOP_MS);
  await guest.page.getByRole('button', { name: 'Ask for control' }).click();
  await home.page.getByText(`${LONG} asks for control`).waitFor();
  await reachTools(home.page);
  assert.equal(await home.page.locator('#name').textContent(), EVIL);
  await home.page.locator('#b-people').click();
  await home.page.locator('#people').getByText(EVIL_NAME).waitFor();
  await harmlessAtAnySize(home.page, 'desktop');
  await harmless(guest.page);

  const admin = await open(browser, await serve.admin('url'));
  await admin.page.getByRole('button', { name: 'Not now' }).click();
  for (const [tab, text] of [['all', EVIL], ['all', EVIL_NAME], ['people', EVIL_NAME], ['people', LONG]]) {
    await admin.page.goto(`${serve.origin}/#${tab}`);
    await admin.page.getByText(text ?? '').first().waitFor();
    await harmlessAtAnySize(admin.page, `admin-${tab}`);
  }
  const invited = await ask('POST', 'users', { name: 'trudy', display_name: EVIL_NAME });
  const enter = await open(browser, invited.url);
  await enter.page.getByRole('heading', { name: `Welcome, ${EVIL_NAME}` }).waitFor();
  await harmlessAtAnySize(enter.page, 'enter');
  await ask('POST', `sessions/${id}/stop`);
  for (const { complaints, close } of [home, guest, admin, enter]) {
    assert.deepEqual(complaints, []);
    await close();
  }
});

test('names that cannot be read as they are are refused, and the refusal is text', async () => {
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  for (const name of [...HIDDEN, 'W'.repeat(65)]) {
    for (const [path, body] of /** @type {const} */ ([['users', { name: 'x', display_name: name }], ['sessions', { template: 'desktop', name }]])) {
      const answer = await fetch(`${serve.origin}/api/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      assert.equal(answer.status, 400, `${path} ${JSON.stringify(name)}`);
    }
  }
  const { page, complaints, close } = await open(browser, await serve.admin('url'));
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.goto(`${serve.origin}/#people`);
  await page.getByRole('button', { name: 'Add a person' }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox').first().fill(MARKUP);
  await dialog.getByRole('button', { name: /^Add/ }).click();
  await dialog.getByRole('alert').filter({ hasText: /\w/ }).waitFor();
  await harmlessAtAnySize(page, 'refused');
  assert.deepEqual(complaints, []);
  await close();
});

test('addresses are text, whatever is written into them', async () => {
  const quoted = '"><script>alert(1)</script>';
  const { page, complaints, close } = await open(browser, serve.origin);
  for (const path of [
    `/?next=${MARKUP}`, `/?${quoted}`, `/#${MARKUP}`, `/#${quoted}`, '/#javascript:alert(1)',
    `/enter?next=${MARKUP}#${MARKUP}`, `/enter#${quoted}`,
    `/s/${MARKUP}`, `/s/${encodeURIComponent(quoted)}`, '/s/%E2%80%AEevil', '/s/%', `/s/?x=${MARKUP}#${MARKUP}`,
    `/d/${MARKUP}`, `/d/${encodeURIComponent(quoted)}`, '/d/%E2%80%AEevil', '/d/%1B[31m', `/d/${'a'.repeat(3000)}`, `/d/x?stats=${MARKUP}&h264=${quoted}#${MARKUP}`,
    `/no/${MARKUP}`, `/no/${encodeURIComponent(quoted)}`, `/${'n'.repeat(3000)}`, `/static/${MARKUP}`, `/ca/${quoted}`,
  ]) {
    await page.goto('about:blank');
    await page.goto(`${serve.origin}${path}`);
    await eventually(`words on ${path}`, () => page.evaluate(() => [...document.querySelectorAll('h1')].some((title) => title.checkVisibility() && title.textContent)));
    await harmless(page);
  }
  assert.deepEqual(complaints, []);
  await close();
});

test('a sign-in leads to a page of the server that gave it, wherever its address points', async () => {
  for (const next of [
    '//evil.example', 'https://evil.example', '/\\evil.example', '\\\\evil.example', 'javascript:alert(1)', 'data:text/html,<script>alert(1)</script>',
    '//evil.example/d/abcdefghijklmnop', 'https://evil.example/d/abcdefghijklmnop', 'javascript:alert(1)//d/abcdefghijklmnop',
    'https://evil.example\\d/abc', '\t//evil.example/d/abc', '/d/../../evil', '/d/abc?next=//evil.example', '/d/abc#//evil.example', '/d/%2F%2Fevil.example',
  ]) {
    const url = new URL(await serve.admin('url'));
    url.searchParams.set('next', next);
    const { page, complaints, close } = await open(browser, 'about:blank');
    /** @type {string[]} */
    const asked = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(url.href);
    await page.locator('html:is([data-state="password"], [data-state="in"], [data-state="error"])').waitFor();
    assert.match(page.url(), new RegExp(`^${serve.origin}/(enter$|$|d/[a-z]+$)`), next);
    assert.deepEqual(asked.filter((each) => !each.startsWith(`${serve.origin}/`)), [], next);
    assert.deepEqual(complaints, []);
    await close();
  }
});

test('every page has the headers that keep strangers out, also that of the server’s own authority', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lattice-web-strangers-'));
  const secure = await Serve.start('--tls', 'on', '--tls-directory', directory);
  const { page, complaints, close } = await open(browser, 'about:blank', { ignoreHTTPSErrors: true });
  for (const path of ['/', '/enter', '/s/', '/s/x', '/d/x', '/ca', '/no/such/page', '/api/v1/me', '/static/home/main.js']) {
    const answer = await page.goto(`${secure.origin}${path}`);
    const headers = answer?.headers() ?? {};
    const policy = new Map((headers['content-security-policy'] ?? '').split(';').map((each) => each.trim().split(/ (.*)/, 2)).map(([name, value]) => [name, value]));
    assert.equal(policy.get('default-src'), '\'none\'', path);
    assert.equal(policy.get('script-src'), '\'self\'', path);
    assert.equal(policy.get('style-src'), '\'self\'', path);
    assert.equal(policy.get('frame-ancestors'), '\'none\'', path);
    assert.equal(policy.get('base-uri'), '\'none\'', path);
    assert.equal(policy.get('require-trusted-types-for'), '\'script\'', path);
    assert.equal(headers['referrer-policy'], 'no-referrer', path);
    assert.equal(headers['x-content-type-options'], 'nosniff', path);
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin', path);
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin', path);
  }
  const thrown = await page.goto(`${secure.origin}/`).then(() => page.evaluate(() => {
    try {
      document.createElement('div').innerHTML = '<b>x</b>';
      return '';
    } catch (error) {
      return String(error);
    }
  }));
  assert.match(thrown, /TrustedHTML/, 'a string never becomes markup');
  const planned = complaints.filter((text) => !/TrustedHTML|trusted-types/i.test(text));
  assert.deepEqual(planned, []);
  await assert.rejects(close(), /policy forbids/, 'a violation is always found');
  await secure.end();
  rmSync(directory, { recursive: true, force: true });
});

/** A browser in which an administrator is signed in. */
async function signedIn() {
  const opened = await open(browser, await serve.admin('url'));
  await opened.page.getByRole('button', { name: 'Not now' }).click();
  await opened.page.getByRole('heading', { name: 'My desktops' }).waitFor();
  return opened;
}

test('a page that frames ours gets nothing, and one that opens ours cannot reach it', async () => {
  const paths = ['/', '/enter', '/s/x', '/d/x', '/no/such/page', '/api/v1/me', '/healthz'];
  for (const host of ['127.0.0.1', 'localhost']) {
    const { page } = await signedIn();
    stranger.body = paths.map((path) => `<iframe src="${serve.origin}${path}"></iframe>`).join('')
      + `<object data="${serve.origin}/"></object><embed src="${serve.origin}/">`;
    await page.goto(stranger.at(host), { waitUntil: 'load' });
    // A frame has no address at all until it was refused.
    const shown = await eventually('all frames to be answered', () => {
      const urls = page.frames().slice(1).map((frame) => frame.url());
      return urls.includes('') ? null : urls;
    });
    assert.ok(shown.length >= paths.length, `${shown}`);
    assert.deepEqual(shown.filter((url) => !/^(chrome-error:|about:blank)/.test(url)), [], 'nothing is framed');

    stranger.body = '<button>Open</button>';
    await page.goto(stranger.at(host));
    const [opened] = await Promise.all([
      page.context().waitForEvent('page'),
      page.evaluate((url) => { Object.assign(window, { victim: open(url) }); }, `${serve.origin}/`),
    ]);
    await opened.waitForLoadState();
    await waitState(opened, 'in');
    assert.equal(await opened.evaluate(() => window.opener), null);
    assert.equal(await page.evaluate(() => /** @type {any} */ (window).victim.closed), true, 'to the stranger it is gone');
    // Whom a link of ours leads to does not learn from where.
    await Promise.all([opened.waitForURL(stranger.at(host)), opened.evaluate((url) => {
      const link = document.body.appendChild(document.createElement('a'));
      link.href = url;
      link.click();
    }, stranger.at(host))]);
    assert.equal(await opened.evaluate(() => document.referrer), '');
    await page.context().close();
  }
});

/** Everything that a page of ours could change, as its administrator sees it. */
async function everything() {
  const { users } = await ask('GET', 'users');
  const { sessions } = await ask('GET', 'sessions?all=1');
  const links = await Promise.all(sessions.map((/** @type {{ id: string }} */ { id }) => ask('GET', `sessions/${id}/links`)));
  return { users, sessions: sessions.map((/** @type {object} */ session) => ({ ...session, reason: '', viewers: 0, picture: null, usage: null })), links };
}

/** @typedef {{ method: string, path: string, body: string }} Change */

/** What the API's own description lists, with what it would take. @returns {Promise<Change[]>} */
async function changes() {
  const { paths } = await serve.ask(token, 'GET', '/api/openapi.json');
  const { users, sessions, links } = await everything();
  const member = users.find((/** @type {{ role: string }} */ { role }) => role === 'member');
  const shared = sessions.findIndex((/** @type {unknown} */ _, /** @type {number} */ at) => links[at].links.length > 0);
  assert.ok(member && shared >= 0, 'there is somebody and something to be changed');
  /** @type {Record<string, object>} */
  const bodies = {
    'POST /api/v1/users': { name: 'planted', password: 'battery staple', role: 'admin' },
    'PATCH /api/v1/users/{id}': { role: 'admin', disabled: true, password: 'stolen stolen' },
    'PUT /api/v1/me/password': { new: 'stolen stolen' },
    'POST /api/v1/sessions': { template: 'desktop', name: 'Planted' },
    'POST /api/v1/sessions/{id}/links': { role: 'control' },
    'POST /api/v1/sessions/{id}/control': { to: 1 },
    'POST /api/v1/login': { name: 'mallory', password: 'battery staple' },
    'POST /api/v1/enter': { token: new URL(await serve.admin('url', '--user', 'mallory')).hash.slice(1) },
    'POST /api/v1/redeem': { token: 'x'.repeat(43) },
  };
  return Object.entries(paths).flatMap(([path, operations]) => Object.keys(operations).filter((method) => method !== 'get').map((verb) => {
    const method = verb.toUpperCase();
    const id = path.includes('/users/') ? member.id : sessions[shared].id;
    const named = path.replace('{id}', id).replace('{link}', links[shared].links[0].id);
    return { method, path: named, body: JSON.stringify(bodies[`${method} ${path}`] ?? {}) };
  }));
}

test('a page of somebody else changes nothing in the name of who is signed in', async () => {
  const { sessions } = await ask('GET', 'sessions?all=1');
  await ask('POST', `sessions/${sessions[0].id}/links`, { role: 'view' });
  const planned = await changes();
  assert.ok(planned.length >= 14, `${planned.length} ways to change something`);
  const before = await everything();
  for (const host of ['127.0.0.1', 'localhost']) {
    const { page } = await signedIn();
    const cookies = await page.context().cookies();
    stranger.body = '<h1>Win a prize</h1>';
    await page.goto(stranger.at(host));
    const answers = await page.evaluate(async ({ origin, planned }) => {
      /** @type {string[]} */
      const answered = [];
      /** @param {string} what @param {string} url @param {RequestInit} request */
      const attempt = async (what, url, request) => {
        const answer = await fetch(url, { credentials: 'include', ...request }).catch(() => null);
        // One that is opaque tells nothing, and what can be read would be a hole.
        if (answer && answer.type !== 'opaque') answered.push(`${what} ${url}: ${answer.status}`);
      };
      for (const { method, path, body } of planned) {
        const url = `${origin}${path}`;
        await attempt(method, url, { method, body });
        await attempt(`JSON ${method}`, url, { method, body, headers: { 'Content-Type': 'application/json' } });
        await attempt('plain POST', url, { method: 'POST', mode: 'no-cors', body });
        await attempt('overridden', `${url}?_method=${method}`, { method: 'POST', mode: 'no-cors', body });
        await attempt('GET', url, { mode: 'no-cors' });
        navigator.sendBeacon(url, new Blob([body], { type: 'text/plain' }));
        await new Promise((resolve) => {
          const image = new Image();
          image.onload = image.onerror = resolve;
          image.src = url;
        });
      }
      return answered;
    }, { origin: serve.origin, planned });
    assert.deepEqual(answers, [], 'no answer can be read');
    for (const { path, body } of planned) {
      for (const enctype of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
        await page.goto(stranger.at(host));
        await Promise.all([page.waitForEvent('load'), page.evaluate(({ action, enctype, body }) => {
          const form = document.body.appendChild(document.createElement('form'));
          Object.assign(form, { action, enctype, method: 'post' });
          const field = form.appendChild(document.createElement('input'));
          // As plain text, what is sent is the body and nothing else that JSON would not take.
          field.name = `${body.slice(0, -1)}${body === '{}' ? '' : ','}"x":"`;
          field.value = '"}';
          form.submit();
        }, { action: `${serve.origin}${path}`, enctype, body })]);
      }
    }
    assert.deepEqual(await everything(), before, `by ${host}`);
    assert.deepEqual((await page.context().cookies()).map(({ value }) => value), cookies.map(({ value }) => value), 'the same login');
    await page.goto(serve.origin);
    await waitState(page, 'in');
    await page.context().close();
  }
});
