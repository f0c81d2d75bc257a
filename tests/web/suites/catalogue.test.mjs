// @ts-check
/** Apps from catalogues: installed, watched on their way, brought up to date, brought back, removed. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.mjs';
import { POWERS, offer } from '../lib/double-catalogue.mjs';
import { House, doubleOnly, faint, look, press, visits } from '../lib/home.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {House} */
let house;
/** @type {ReturnType<typeof visits>} */
let visit;

before(async () => {
  browser = await launch();
  house = await House.open();
  visit = visits(browser, house);
});

after(async () => {
  await browser.close();
  await house.close();
});

const { network, write, display, clipboard, ports, other } = /** @type {Record<string, import('../lib/double-catalogue.mjs').Power>} */ (POWERS);
const SIGNED = { name: 'school', title: 'Apps of our school', serial: 7, signed_by: 'school', refused: null };

/** A catalogue with three apps. @param {ReturnType<House['reset']>} made */
function stock({ double }) {
  const { shop } = double;
  const app = (/** @type {string} */ name, /** @type {string} */ title, /** @type {object} */ more) => ({
    catalogue: 'school', app: name, title, icon: name, summary: '', description: '', offer: null, mine: null, everybody: null, shadowed_by: [], ...more,
  });
  shop.catalogues = [SIGNED];
  shop.apps = [
    app('draw', 'Draw', { summary: 'Pictures with layers', description: 'Brushes, layers and filters.\nOpens PNG and JPEG.', offer: offer('2.10', 'a', [write, display, clipboard]) }),
    app('clock', 'Clock', { summary: 'What time it is, in a window that does nothing else and whose description is rather long', offer: offer('1.0', 'b', []) }),
    app('notes', 'A very long name of an app that nobody shortened', { offer: offer('3.1', 'c', [network, write, display, clipboard, ports, other]), shadowed_by: ['Vue'] }),
  ];
  return { shop, draw: /** @type {import('../lib/double-catalogue.mjs').Mutable} */ (shop.apps[0]) };
}

/** @param {import('playwright-core').Page} page @param {string} name */
const cardOf = (page, name) => page.getByRole('listitem', { name, exact: true });

test('an app is installed for everybody, brought up to date, brought back and removed', doubleOnly(), async () => {
  const made = house.reset();
  const { shop, draw } = stock(made);
  await visit.visitAsAdmin('/', async (page) => {
    await page.getByRole('navigation').getByRole('link', { name: 'Apps' }).click();
    await page.getByRole('heading', { name: 'Apps', level: 1 }).waitFor();
    const card = cardOf(page, 'Draw');
    await card.getByText('can read and change your files').waitFor();
    assert.equal(await card.locator('[data-risky="true"]').count(), 2);
    await card.getByText('aaaaaaaaaaaa', { exact: true }).waitFor();
    await card.getByText('312 MB').waitFor();
    await cardOf(page, 'Clock').getByText('can do nothing outside of itself').waitFor();
    await page.getByText('can do what only newer servers know').waitFor();
    await page.getByText('These desktops have an app of that name of their own').waitFor();
    await look(page, 'apps');
    assert.deepEqual(await faint(page, 'main'), []);

    await card.getByRole('button', { name: 'Install for everybody' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('For everybody, on all desktops.').waitFor();
    await dialog.getByText('can read and change your files').waitFor();
    await look(page, 'apps-install');
    await dialog.getByRole('button', { name: 'Install' }).click();
    const bar = card.getByRole('progressbar', { name: 'Fetching Draw' });
    await bar.waitFor();
    const [pull] = shop.pulls;
    assert.ok(pull);
    pull.done_bytes = 104_857_600;
    made.double.tellShop();
    await card.getByText('100 MB of 312 MB').waitFor();
    assert.equal(await bar.getAttribute('value'), '104857600');
    await look(page, 'apps-progress');
    pull.done_bytes = pull.total_bytes;
    made.double.tellShop();
    await card.getByText('Unpacking and comparing…').waitFor();
    shop.pulls = [];
    shop.install(draw, 'all', 'Ada Lovelace');
    made.double.tellShop();
    await card.getByText('Everybody has 2.10').waitFor();
    await bar.waitFor({ state: 'detached' });

    shop.publish(draw, offer('3.0', 'd', [network, write, display, clipboard]));
    made.double.tellShop();
    await card.getByRole('button', { name: 'Update to 3.0' }).click();
    await dialog.getByText('It could then do more than now').waitFor();
    assert.match(await dialog.getByRole('listitem').innerText(), /New:\s+can use the network/, 'what is new is said, and nothing else');
    await look(page, 'apps-update');
    await dialog.getByRole('button', { name: 'Update' }).click();
    await bar.waitFor();
    shop.pulls = [];
    shop.install(draw, 'all', 'Ada Lovelace');
    made.double.tellShop();
    await card.getByText('Everybody has 3.0').waitFor();
    await look(page, 'apps-updated');

    await card.getByRole('button', { name: 'Back to 2.10' }).click();
    await dialog.getByText('It can do nothing that it could not do before.').waitFor();
    await dialog.getByRole('button', { name: 'Bring back' }).click();
    await card.getByText('Everybody has 2.10').waitFor();
    await card.getByRole('button', { name: 'Update to 3.0' }).waitFor();

    await card.getByRole('button', { name: 'Remove' }).click();
    await look(page, 'apps-remove');
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await card.getByText('Everybody has').waitFor({ state: 'detached' });
    await card.getByRole('button', { name: 'Install for everybody' }).waitFor();
  });
});

test('what is not what the catalogue says is refused and explained', doubleOnly(), async () => {
  const made = house.reset();
  const { shop } = stock(made);
  shop.catalogues = [SIGNED, {
    name: 'games', title: null, serial: null, signed_by: null,
    refused: 'it is not what school signed: the catalogue or its signature was changed since, on the way or on this disk; get it again from whoever made it, or trust that key in [[catalogues.keys]]',
  }];
  shop.pulls = [{
    catalogue: 'school', app: 'draw', for: 'all', done_bytes: 0, total_bytes: 1, by: '',
    error: 'draw is refused: what came is not what its catalogue names by sha256:aa. Somebody may have put another program in its place; nothing of it was installed. Tell whoever made the catalogue',
  }];
  await visit.visitAsAdmin('/#apps', async (page) => {
    const refusal = page.getByRole('alert', { name: 'The catalogue games is refused' });
    await refusal.getByText('was changed since').waitFor();
    await cardOf(page, 'Draw').getByText('another program in its place').waitFor();
    await cardOf(page, 'Draw').getByRole('button', { name: 'Install for everybody' }).waitFor();
    await look(page, 'apps-refused');
    assert.deepEqual(await faint(page, 'main'), []);

    // What was looked at is what is installed, or nothing is.
    await cardOf(page, 'Clock').getByRole('button', { name: 'Install for me' }).click();
    shop.apps[1] = { .../** @type {any} */ (shop.apps[1]), offer: offer('9', 'e', []) };
    await page.getByRole('dialog').getByRole('button', { name: 'Install' }).click();
    await page.getByRole('dialog').getByText('look at it again').waitFor();
  });
});

test('people see what there is, and install where they may', doubleOnly(), async () => {
  const made = house.reset();
  const { shop, draw } = stock(made);
  shop.install(draw, 'all', 'Ada Lovelace');
  await visit.visitAsMember('/#apps', async (page) => {
    await cardOf(page, 'Draw').getByText('Everybody has 2.10').waitFor();
    await cardOf(page, 'Clock').getByText('An administrator can install it.').waitFor();
    assert.equal(await page.getByRole('main').getByRole('button', { name: /Install|Update|Remove|Back/ }).count(), 0);
    await look(page, 'apps-member');
    shop.isOpen = true;
    await page.reload();
    // By the keyboard alone.
    const clock = cardOf(page, 'Clock');
    await clock.getByRole('button', { name: 'Install for me' }).focus();
    await page.keyboard.press('Enter');
    await press(page, 'Install');
    await clock.getByRole('progressbar').waitFor();
    assert.equal(await clock.getByRole('button', { name: 'Install for me' }).isDisabled(), true);
    shop.pulls = [];
    shop.install(/** @type {any} */ (shop.apps[1]), 'me', 'Sam Weller');
    made.double.tellShop();
    await clock.getByText('You have 1.0').waitFor();
    assert.equal(await clock.getByRole('button', { name: 'Install for everybody' }).count(), 0);
  });
});

test('no catalogue, one that is read, and none that can be read are each shown', doubleOnly(), async () => {
  const made = house.reset();
  await visit.visitAsAdmin('/#apps', async (page) => {
    await page.getByText('lattice catalogue add school.yaml').waitFor();
    await look(page, 'apps-none');
  });
  made.double.shop.obstacle = 'desktops in sandboxes have no apps; run lattice serve with containers';
  await visit.visitAsMember('/#apps', async (page) => {
    await page.getByText('There are no apps to install yet').waitFor();
    await page.getByText('run lattice serve with containers').waitFor();
    await look(page, 'apps-none-member');
  });
  made.double.faults.push({ match: /GET \/api\/v1\/catalogue/, status: 500, title: 'Broken', detail: 'the disk hangs' });
  await visit.visitAsMember('/#apps', async (page) => {
    await page.getByText('The catalogues could not be read').waitFor();
    await look(page, 'apps-unread');
    made.double.faults = [];
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('There are no apps to install yet').waitFor();
  });
});
