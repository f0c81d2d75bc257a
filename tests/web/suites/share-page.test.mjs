// @ts-check
/** Sharing one page of a desktop: made, listed, revoked; and where its link leads. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.mjs';
import { House, doubleOnly, look, press, visits } from '../lib/home.mjs';
import { eventually } from '../lib/wait.mjs';

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

const APPS = () => [{ name: 'code', title: 'VS Code', icon: 'code', state: 'running', ports: [5173, 8080] }];

/** A desktop with a program whose page can be seen. */
function shop() {
  const { double, member } = house.reset();
  double.templates = [{ id: 'desktop', title: 'Vue', summary: '' }];
  return { double, one: double.addSession({ owner: member, name: 'Shop', apps: APPS() }) };
}

test('one page is shared from the desktop’s page, and the link is revoked there', doubleOnly(), async () => {
  const { double, one } = shop();
  await visit.visitAsMember(`/#desktop/${one.id}`, async (page) => {
    await page.getByRole('button', { name: 'Share the page on port 5173 of VS Code' }).click();
    const dialog = page.getByRole('dialog', { name: 'Share the page on port 5173' });
    await dialog.getByText('not the desktop, and no other page of it').waitFor();
    await dialog.getByText('None. Nobody else can open a page').waitFor();
    await look(page, 'share-page');
    const refuse = double.fault({ match: /POST .*preview-links/, status: 409, detail: 'this server has no names for previews' });
    await dialog.getByRole('button', { name: 'Create link' }).click();
    await dialog.getByRole('alert').filter({ hasText: 'no names for previews' }).waitFor();
    refuse();
    await dialog.getByLabel('Works for').selectOption({ label: '1 hour' });
    await dialog.getByRole('button', { name: 'Create link' }).click();
    await dialog.getByRole('heading', { name: 'The link is ready' }).waitFor();
    await dialog.getByText('It shows the page on port 5173, 1 hour left.').waitFor();
    assert.equal(await dialog.getByLabel('Link', { exact: true }).inputValue(), one.pages?.[0]?.url);
    await look(page, 'share-page-made');
    await dialog.getByRole('button', { name: 'Revoke the link to port 5173, opened 0 times' }).click();
    await page.getByText('The link is revoked').first().waitFor();
    await dialog.getByText('None. Nobody else can open a page').waitFor();
    assert.deepEqual(one.pages, []);
  });
});

test('the dialog of sharing leads to it as well, by the keyboard alone', doubleOnly(), async () => {
  const { one } = shop();
  await visit.visitAsMember(`/#desktop/${one.id}`, async (page) => {
    await page.getByRole('button', { name: 'Share', exact: true }).click();
    await page.getByRole('heading', { name: 'One page only' }).waitFor();
    await look(page, 'share-with-pages');
    await press(page, 'Share this page: port 8080');
    await page.getByRole('dialog', { name: 'Share the page on port 8080' }).waitFor();
    await press(page, 'Create link');
    await page.getByRole('heading', { name: 'The link is ready' }).waitFor();
    assert.equal(one.pages?.[0]?.port, 8080);
  });
});

test('a link to a page leads to a preview’s address and nowhere else', doubleOnly(), async () => {
  const { double, one } = shop();
  const made = { id: '1', port: 5173, uses: 0, created_at: '', expires_at: '', url: `${house.url}/s/${'q'.repeat(43)}` };
  one.pages = [made];
  for (const [entrance, is] of /** @type {const} */ ([
    [`http://5173--${one.id}.localhost:9/.lattice/enter/ticket`, true],
    ['https://evil.example/.lattice/enter/ticket', false], [`http://5173--${one.id}.localhost:9/elsewhere`, false], ['javascript:alert(1)', false], ['', false],
  ])) {
    double.entrance = entrance;
    await visit.visit('/', async (page) => {
      /** @type {string[]} */
      const asked = [];
      await page.route(/\.lattice|evil|elsewhere/, (route) => {
        asked.push(route.request().url());
        return route.fulfill({ contentType: 'text/html', body: 'the program' });
      });
      await page.goto(made.url);
      if (is) await eventually('the preview', () => asked.includes(entrance));
      else await page.getByText('The server named nothing that can be opened').waitFor();
      assert.deepEqual(asked, is ? [entrance] : []);
    });
  }
});
