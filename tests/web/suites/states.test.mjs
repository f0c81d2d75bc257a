// @ts-check
/** Every state that a person may see: it is reached, it has names, and its screenshot is kept. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { open, reachTools, shoot, state, waitState, worker } from '../lib/browser.mjs';
import { assertExact } from '../lib/picture.mjs';
import { setUp } from '../lib/set.mjs';
import { Share } from '../lib/share.mjs';
import { GENEROUS_MS, eventually, patience, sleep } from '../lib/wait.mjs';

const SCHEMES = /** @type {const} */ (['light', 'dark']);
/** Roles of what a person operates; each of them needs a name. */
const OPERATED = new Set(['button', 'link', 'textbox', 'checkbox', 'radio', 'menuitem', 'menuitemradio', 'tab',
  'slider', 'combobox', 'switch', 'toolbar', 'dialog', 'application']);
const CLOSE = { version: 4002, revoked: 4003, full: 4013, ended: 4100 };

/** @typedef {import('playwright-core').Page} Page */

/** @type {Awaited<ReturnType<typeof setUp>>} */
let set;

before(async () => {
  // A name that is not this machine's own: pages of it are in no secure context.
  set = await setUp({ width: 1366, height: 768 }, '--host-resolver-rules=MAP desk.example 127.0.0.1');
  await set.stage.say('text');
});

after(() => set.end());

/** @param {Page} page */
async function namesAreThere(page) {
  const cdp = await page.context().newCDPSession(page);
  const { nodes } = await cdp.send('Accessibility.getFullAXTree');
  await cdp.detach();
  const operated = nodes.filter(({ ignored, role }) => !ignored && OPERATED.has(role?.value));
  const nameless = operated.filter(({ name }) => !name?.value?.trim()).map(({ role, properties }) => ({ role: role?.value, properties }));
  assert.deepEqual(nameless, [], 'everything that is operated has a name');
  return operated.length;
}

/**
 * Reaches a state in both colour schemes, looks at it and keeps a screenshot.
 * @param {string} name
 * @param {(colorScheme: 'light' | 'dark') => Promise<Awaited<ReturnType<typeof open>>>} reach
 * @param {(page: Page) => Promise<void>} [look]
 */
async function inBothSchemes(name, reach, look = async () => {}) {
  for (const colorScheme of SCHEMES) {
    const { page, complaints, close } = await reach(colorScheme);
    try {
      await namesAreThere(page);
      await shoot(page, `${name}-${colorScheme}`);
      await look(page);
      assert.deepEqual(complaints, [], name);
    } finally {
      await close();
    }
  }
}

test('connecting', () => inBothSchemes('connecting', async (colorScheme) => {
  set.impostor.answer = () => {};
  const opened = await open(set.browser, set.page(), { colorScheme });
  assert.equal(await state(opened.page), 'connecting');
  const waiting = opened.page.locator('.waiting');
  await waiting.waitFor({ state: 'visible' });
  return opened;
}, async (page) => {
  set.impostor.answer = null;
  await page.reload();
  await waitState(page, 'live');
}));

test('live', () => inBothSchemes('live', async (colorScheme) => {
  const opened = await open(set.browser, set.share.url, { colorScheme });
  await waitState(opened.page, 'live');
  await assertExact(opened.page, set.stage);
  return opened;
}, async (page) => {
  assert.equal(new URL(page.url()).hash, '', 'the secret has left the address');
  const title = await page.title();
  assert.ok(title.length > 0);
}));

test('live with statistics', () => inBothSchemes('live-stats', async (colorScheme) => {
  const url = new URL(set.share.url);
  url.searchParams.set('stats', '1');
  const opened = await open(set.browser, url.href, { colorScheme });
  await waitState(opened.page, 'live');
  await opened.page.locator('#stats').waitFor({ state: 'visible' });
  await assertExact(opened.page, set.stage);
  return opened;
}));

test('the tools are reached and operated by keyboard alone', async () => {
  const { page, complaints, close } = await open(set.browser, set.share.url);
  await waitState(page, 'live');
  await reachTools(page);
  const wanted = await page.locator('#bar button:visible').evaluateAll((buttons) => buttons.map((button) => button.id));
  assert.ok(wanted.length >= 4, `${wanted}`);
  for (const move of ['Tab', 'ArrowRight']) {
    const reached = new Set();
    for (let step = 0; step < 12; step += 1) {
      reached.add(await page.evaluate(() => document.activeElement?.id));
      await page.keyboard.press(move);
    }
    if (wanted.every((id) => reached.has(id))) break;
    assert.notEqual(move, 'ArrowRight', `of ${wanted} only ${[...reached]} were reached`);
    await page.locator(`#${wanted[0]}`).focus();
  }
  for (const [button, opened] of [['b-view', 'p-view'], ['b-keys', 'p-keys'], ['b-help', 'p-help']]) {
    await page.locator(`#${button}`).focus();
    await page.keyboard.press('Enter');
    await page.locator(`#${opened}`).waitFor({ state: 'visible' });
    await namesAreThere(page);
    await shoot(page, `tools-${opened}`);
    await page.keyboard.press('Escape');
    await page.locator(`#${opened}`).waitFor({ state: 'hidden' });
  }
  await page.locator('#b-help').focus();
  await page.keyboard.press('Escape');
  await eventually('the desktop to have the focus', () => page.evaluate(() => document.activeElement?.id === 'screen'));
  assert.deepEqual(complaints, []);
  await close();
});

test('lost and found: agent, display and gateway', async () => {
  const { page, complaints, close } = await open(set.browser, set.share.url);
  await waitState(page, 'live');
  const seen = await page.evaluateHandle(() => {
    /** @type {(string | undefined)[]} */
    const states = [];
    const root = document.documentElement;
    new MutationObserver(() => states.push(root.dataset.state)).observe(root, { attributeFilter: ['data-state'] });
    return states;
  });

  const agent = await set.share.agent();
  process.kill(agent, 'SIGKILL');
  await eventually('another agent', async () => (await set.share.agent()) !== agent);
  await waitState(page, 'live');
  await set.stage.say('scroll', 2);
  await eventually('the picture to be right', () => assertExact(page, set.stage).then(() => true, () => false));

  await set.stage.say('kill');
  await waitState(page, 'reconnecting', patience(3000));
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    await namesAreThere(page);
    await shoot(page, `reconnecting-display-${colorScheme}`);
  }
  await set.stage.say('restart');
  await waitState(page, 'live');
  await set.stage.say('text');
  await assertExact(page, set.stage);

  await set.share.kill();
  await waitState(page, 'reconnecting', patience(3000));
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    await namesAreThere(page);
    await shoot(page, `reconnecting-gateway-${colorScheme}`);
  }
  await set.share.restart();
  await waitState(page, 'live', GENEROUS_MS);
  await set.stage.say('scroll', 2);
  await assertExact(page, set.stage);
  const states = await seen.jsonValue();
  const known = new Set(['live', 'lagging', 'reconnecting']);
  assert.deepEqual(states.filter((name) => !known.has(name ?? '')), [], `${states}`);
  assert.deepEqual(complaints, []);
  await close();
});

test('ended', () => inBothSchemes('ended', async (colorScheme) => {
  set.impostor.answer = (viewer) => viewer.display('ended', 'the desktop was closed');
  const opened = await open(set.browser, set.page(), { colorScheme });
  await waitState(opened.page, 'ended');
  return opened;
}));

for (const [name, code, expected] of /** @type {const} */ ([
  ['ended by code', CLOSE.ended, 'ended'],
  ['revoked', CLOSE.revoked, 'ended'],
  ['full', CLOSE.full, 'error'],
  ['version', CLOSE.version, 'error'],
])) {
  test(`closed: ${name}`, () => inBothSchemes(`closed-${name.replaceAll(' ', '-')}`, async (colorScheme) => {
    set.impostor.answer = (viewer) => viewer.close(code);
    const opened = await open(set.browser, set.page(), { colorScheme });
    await waitState(opened.page, expected);
    return opened;
  }, async (page) => {
    // The way back works.
    set.impostor.answer = null;
    const button = page.locator('.card-actions .button');
    if (await button.isVisible()) {
      await button.click();
      await waitState(page, 'live');
    }
  }));
}

test('error: a link that opens nothing', () => inBothSchemes('error', async (colorScheme) => {
  const url = new URL(set.share.url);
  url.hash = 'this-is-not-the-secret-of-any-share';
  const opened = await open(set.browser, url.href, { colorScheme });
  await waitState(opened.page, 'error');
  return opened;
}));

/** @param {Page} page */
const reason = (page) => page.evaluate(() => document.documentElement.dataset.reason);

test('refused: a page of an address that the server does not know', () => inBothSchemes('refused', async (colorScheme) => {
  set.impostor.answer = null;
  set.impostor.isCandid = true;
  const opened = await open(set.browser, set.page(), { colorScheme });
  await waitState(opened.page, 'error');
  assert.equal(await reason(opened.page), 'refused');
  assert.match(await opened.page.locator('.card-detail').innerText(), /pages of http:.* only/, 'in the server’s own words');
  return opened;
}, async (page) => {
  set.impostor.isCandid = false;
  await page.locator('.card-actions .button').click();
  await waitState(page, 'live');
}));

test('gone: nothing has answered for long', () => inBothSchemes('gone', async (colorScheme) => {
  const other = await Share.start(set.stage);
  const opened = await open(set.browser, 'about:blank', { colorScheme });
  const { page } = opened;
  await page.clock.install();
  await page.goto(other.url);
  await waitState(page, 'live');
  await other.kill();
  await other.end();
  await waitState(page, 'reconnecting');
  await eventually('the desktop to be gone', async () => {
    await page.clock.fastForward(10_000);
    await sleep(50);
    return (await reason(page)) === 'gone';
  });
  assert.equal(await state(page), 'reconnecting');
  // It is asked for less often now.
  await eventually('the next wait', async () => /in (1[6-9]|[23]\d) s/.test(await page.locator('.countdown').innerText()));
  return opened;
}));

test('crashed: the worker has thrown', () => inBothSchemes('crashed', async (colorScheme) => {
  set.impostor.answer = null;
  const opened = await open(set.browser, set.page(), { colorScheme });
  const { page, complaints } = opened;
  await waitState(page, 'live');
  await (await worker(page)).evaluate(() => { setTimeout(() => { throw new Error('planted'); }); });
  await waitState(page, 'error');
  assert.equal(await reason(page), 'crashed');
  const other = complaints.splice(0).filter((complaint) => !complaint.includes('planted'));
  assert.deepEqual(other, []);
  return opened;
}, async (page) => {
  await page.locator('.card-actions .button').click();
  await waitState(page, 'live');
}));

test('insecure: a page without TLS', () => inBothSchemes('insecure', async (colorScheme) => {
  set.impostor.answer = null;
  const opened = await open(set.browser, set.page('', 'desk.example'), { colorScheme });
  await waitState(opened.page, 'live');
  assert.equal(await opened.page.evaluate(() => isSecureContext), false);
  await opened.page.locator('#notice').waitFor({ state: 'visible' });
  return opened;
}));

test('not found', () => inBothSchemes('not-found', async (colorScheme) => (
  open(set.browser, `http://${set.share.address}/no/such/page`, { colorScheme }))));
