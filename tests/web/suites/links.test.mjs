// @ts-check
/** Sharing a desktop, share links and one-time sign-ins; every state that a person may see. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, waitState } from '../lib/browser.mjs';
import { secret } from '../lib/double.mjs';
import { scanned } from '../lib/qr.mjs';
import { House, MEMBER, card, doubleOnly, fill, look, visits } from '../lib/home.mjs';
import { eventually } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {House} */
let house;
/** @type {ReturnType<typeof visits>['visit']} */
let visit;
/** @type {ReturnType<typeof visits>['visitAsMember']} */
let visitAsMember;

before(async () => {
  browser = await launch();
  house = await House.open();
  ({ visit, visitAsMember } = visits(browser, house));
});

after(async () => {
  await browser.close();
  await house.close();
});

// Sharing -----------------------------------------------------------------------------------------

test('a desktop is shared by a link with a QR code, which opens it until it is revoked', doubleOnly(), async () => {
  const made = house.reset();
  const session = fill(made);
  made.double.addLink(session, { role: 'control', max_uses: 30, uses: 4, expires_at: new Date(Date.now() + 3_000_000).toISOString() });
  await visitAsMember('/', async (page) => {
    await page.getByRole('button', { name: `Share ${session.name}` }).click();
    const dialog = page.getByRole('dialog', { name: `Share ${session.name}` });
    await dialog.getByText('used 4 of 30 times').waitFor();
    await dialog.getByText('Who is there').waitFor();
    await look(page, 'share');
    await dialog.getByRole('radio', { name: /^Assist/ }).check();
    await dialog.getByLabel('Works for').selectOption('1 hour');
    await dialog.getByLabel('Can be opened').selectOption('Once');
    await dialog.getByRole('button', { name: 'Create link' }).click();
    const url = await dialog.getByLabel('Link', { exact: true }).inputValue();
    assert.match(url, new RegExp(`^${house.url}/s/[\\w-]{20,}$`));
    assert.ok(made.double.asked.some((line) => line.includes('{"role":"assist","expires_in_s":3600,"max_uses":1}')));
    await dialog.getByRole('img', { name: 'QR code of the link' }).waitFor();
    assert.equal(await scanned(page, dialog.locator('.qr')), url, 'a camera reads the same');
    await look(page, 'share-made');

    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await dialog.getByRole('button', { name: 'Copy' }).click();
    await dialog.getByRole('button', { name: 'Copied' }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), url);

    await visit(new URL(url).pathname, async (guest) => {
      await guest.waitForURL(`**/d/${session.id}`);
      assert.equal(await guest.evaluate(() => history.length), 2, 'the link is not in the history');
    });
    await dialog.getByRole('button', { name: /^Revoke the assist link/ }).click();
    await dialog.getByLabel('Link', { exact: true }).waitFor({ state: 'detached' });
    await visit(new URL(url).pathname, async (guest) => {
      await guest.getByRole('heading', { name: 'This link was withdrawn' }).waitFor();
      await look(guest, 'redeem-revoked');
    });
    await dialog.getByRole('button', { name: 'Give control to Ada Lovelace' }).click();
    await dialog.getByRole('button', { name: 'Take back control from Ada Lovelace' }).waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('aria-label')), `Share ${session.name}`, 'the focus is back');
  });
});

test('redeem: the secret leaves the address before it is sent', doubleOnly(), async () => {
  const { double, admin } = house.reset();
  const link = double.addLink(double.addSession({ owner: admin, name: 'Lesson' }));
  let release = () => {};
  double.fault({ match: /redeem$/, hold: new Promise((resolve) => { release = () => resolve(undefined); }) });
  await visit(`/s/${link.token}`, async (page) => {
    await page.getByText('Opening…').waitFor();
    await look(page, 'redeem-joining');
    assert.equal(new URL(page.url()).pathname, '/s/');
    assert.equal(double.sessions[0]?.links[0]?.uses, 0);
    release();
    await page.waitForURL(/\/d\//);
  });
});

test('redeem: only looking at the address uses nothing up', doubleOnly(), async () => {
  const { double, admin } = house.reset();
  const link = double.addLink(double.addSession({ owner: admin, name: 'Lesson' }), { max_uses: 1 });
  const preview = await (await fetch(link.url)).text();
  assert.match(preview, /<title>Join a desktop/);
  await visit(`/s/${link.token}`, (page) => page.waitForURL(/\/d\//));
});

test('redeem: who is signed in keeps their account and finds the desktop at home', doubleOnly(), async () => {
  const { double, admin } = house.reset();
  const link = double.addLink(double.addSession({ owner: admin, name: 'Lesson' }), { role: 'control' });
  await visitAsMember(`/s/${link.token}`, async (page) => {
    await page.waitForURL(/\/d\//);
    await page.goto(house.url);
    await page.getByRole('heading', { name: 'Shared with me' }).waitFor();
    await card(page, 'Lesson').getByText('You can take control').waitFor();
  });
});

for (const [name, title, more] of /** @type {const} */ ([
  ['expired', 'This link has expired', { expires_at: '2020-01-01T00:00:00Z' }],
  ['used-up', 'This link is used up', { max_uses: 1, uses: 1 }],
  ['unknown', 'This link opens nothing', null],
])) {
  test(`redeem: ${name}`, async () => {
    if (!house.double && more) return;
    const token = more && house.double ? house.double.addLink(house.double.addSession({ owner: house.reset().admin, name: 'Lesson' }), more).token : secret();
    await visit(`/s/${token}`, async (page) => {
      await page.getByRole('heading', { name: title }).waitFor();
      await look(page, `redeem-${name}`);
      await page.getByRole('link', { name: 'Go to sign-in' }).click();
      await waitState(page, 'out');
    });
  });
}

test('redeem: a page loaded again without its secret says what to do', async () => {
  await visit('/s/', async (page) => {
    await page.getByRole('heading', { name: 'Open the link again' }).waitFor();
    await look(page, 'redeem-missing');
  });
});

test('redeem: a server that is away is tried again', doubleOnly(), async () => {
  const { double, admin } = house.reset();
  const link = double.addLink(double.addSession({ owner: admin, name: 'Lesson' }));
  const mend = double.fault({ match: /redeem$/, status: 503 });
  await visit(`/s/${link.token}`, async (page) => {
    await page.getByRole('heading', { name: 'The server does not answer' }).waitFor();
    await look(page, 'redeem-away');
    mend();
    await page.waitForURL(/\/d\//);
  });
});

test('redeem: one that was asked too often waits', doubleOnly(), async () => {
  const { double, admin } = house.reset();
  const link = double.addLink(double.addSession({ owner: admin, name: 'Lesson' }));
  double.fault({ match: /redeem$/, status: 429, retryAfter: 40 });
  await visit(`/s/${link.token}`, async (page) => {
    const button = page.getByRole('button', { name: /Try again in \d+ s/ });
    await button.waitFor();
    assert.ok(await button.isDisabled());
    await look(page, 'redeem-slow-down');
  });
});

// One-time sign-ins -------------------------------------------------------------------------------

test('enter: a one-time sign-in, then a password', doubleOnly(), async () => {
  const { double } = house.reset();
  const fresh = double.addUser({ name: 'robin', display_name: 'Robin' });
  const url = new URL(double.addEnter(fresh));
  await visit(`${url.pathname}${url.hash}`, async (page) => {
    await page.getByRole('heading', { name: 'Welcome, Robin' }).waitFor();
    assert.equal(new URL(page.url()).hash, '', 'the secret has left the address');
    await eventually('the field to have the focus', () => page.evaluate(() => document.activeElement?.id === 'f-fresh'));
    await look(page, 'enter-password');
    double.fault({ match: /password/, status: 422, detail: 'this password is among those that everybody guesses; take another' });
    await page.getByLabel('New password', { exact: true }).fill('password1');
    await page.getByRole('button', { name: 'Set password' }).click();
    await page.getByRole('alert').filter({ hasText: 'This password is among those' }).waitFor();
    await look(page, 'enter-refused');
    double.faults = [];
    await page.getByLabel('New password', { exact: true }).fill('three word phrase');
    await page.getByRole('button', { name: 'Set password' }).click();
    await waitState(page, 'in');
    assert.equal(fresh.password, 'three word phrase');
  });
  await visit(`${url.pathname}${url.hash}`, async (page) => {
    await page.getByRole('heading', { name: 'This sign-in has been used' }).waitFor();
    await look(page, 'enter-used');
  });
});

test('enter: the password can wait, and the home page reminds of it', doubleOnly(), async () => {
  const { double } = house.reset();
  const url = new URL(double.addEnter(double.addUser({ name: 'robin' })));
  await visit(`${url.pathname}${url.hash}`, async (page) => {
    await page.getByRole('button', { name: 'Not now' }).click();
    await waitState(page, 'in');
    await page.getByText('You have no password yet.').waitFor();
    await look(page, 'no-password');
    await page.getByRole('button', { name: 'Set a password' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'Set a password' });
    await dialog.getByLabel('New password', { exact: true }).fill('three word phrase');
    await look(page, 'set-password');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('You have no password yet.').waitFor({ state: 'detached' });
  });
});

test('enter: expired, unknown, and nothing at all', doubleOnly(), async () => {
  const { double, member } = house.reset();
  const expired = new URL(double.addEnter(member, 'expired'));
  for (const [hash, title, name] of [[expired.hash, 'This sign-in has expired', 'expired'], [`#${secret()}`, 'This sign-in opens nothing', 'unknown'], ['', 'Open your sign-in link again', 'missing']]) {
    await visit(`/enter${hash}`, async (page) => {
      await page.getByRole('heading', { name: title }).waitFor();
      await look(page, `enter-${name}`);
    });
  }
});

test('a password is changed by who knows the current one', doubleOnly(), async () => {
  const { member } = house.reset();
  await visitAsMember('/', async (page) => {
    await page.getByRole('button', { name: /^Account of/ }).click();
    await page.getByRole('button', { name: 'Change password' }).click();
    const dialog = page.getByRole('dialog', { name: 'Change password' });
    await dialog.getByLabel('Current password', { exact: true }).fill('wrong');
    await dialog.getByLabel('New password', { exact: true }).fill('three word phrase');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('alert').filter({ hasText: 'current password is not right' }).waitFor();
    await look(page, 'change-password');
    await dialog.getByLabel('Current password', { exact: true }).fill(MEMBER.password);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    assert.equal(member.password, 'three word phrase');
  });
});
