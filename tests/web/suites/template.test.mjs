// @ts-check
/** What a desktop is made of: changed with what is wrong told at its line, applied, and gone back from. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open } from '../lib/browser.mjs';
import { TEMPLATE, addVersion } from '../lib/double-templates.mjs';
import { House, doubleOnly, look, visits } from '../lib/home.mjs';
import { DESKTOP_MS } from '../lib/school.mjs';
import { Serve } from '../lib/serve.mjs';
import { eventually } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {House} */
let house;
/** @type {ReturnType<typeof visits>['visitAsMember']} */
let visitAsMember;
/** @type {ReturnType<typeof visits>['visitAsAdmin']} */
let visitAsAdmin;

before(async () => {
  browser = await launch();
  house = await House.open();
  ({ visitAsMember, visitAsAdmin } = visits(browser, house));
});

after(async () => {
  await browser.close();
  await house.close();
});

/** @param {Page} page */
const editor = (page) => page.getByRole('textbox', { name: 'Template, as YAML' });

/** The panel, with what is said in it. @param {Page} page */
const panel = (page) => page.getByRole('region', { name: 'Template' });

/** @param {Page} page @param {string | RegExp} name */
const version = (page, name) => panel(page).getByRole('listitem').filter({ hasText: name });

/** What is selected in the editor. @param {Page} page */
const selected = (page) => editor(page).evaluate((area) => {
  const { value, selectionStart, selectionEnd } = /** @type {HTMLTextAreaElement} */ (area);
  return value.slice(selectionStart, selectionEnd);
});

/** @param {Page} page */
const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute('aria-label') || document.activeElement?.textContent || '');

test('a template is changed, refused at its line, applied after a snapshot, and rolled back, on a real server', async () => {
  const serve = await Serve.start();
  const { page, complaints, close } = await open(browser, await serve.admin('url'));
  try {
    await page.getByRole('button', { name: 'Not now' }).click();
    await page.getByRole('heading', { name: 'My desktops' }).waitFor();
    const token = await serve.admin('token');
    const { id } = /** @type {{ id: string }} */ (await serve.ask(token, 'POST', '/api/v1/sessions', { template: 'desktop', name: 'Maths' }));
    const read = async (/** @type {string} */ path) => /** @type {any} */ (await serve.ask(token, 'GET', `/api/v1/sessions/${id}${path}`));
    await eventually('the desktop to run', async () => (await read('')).state === 'running', DESKTOP_MS);
    const since = async () => (await read('')).usage?.since;
    const begun = await since();
    await page.goto(`${serve.origin}/#desktop/${id}`);
    await editor(page).waitFor();
    const base = await editor(page).inputValue();
    assert.match(base, /^name: desktop$/m);
    await panel(page).getByText('It was never changed.').waitFor();

    // Wrong first: told at its line, and not to be applied.
    const lines = base.split('\n');
    const at = lines.findIndex((line) => line.startsWith('x-lattice:'));
    const wrong = [...lines.slice(0, at + 1), '  idle: { warn: soon }', '  colour: green', ...lines.slice(at + 1)].join('\n');
    await editor(page).fill(wrong);
    const first = panel(page).getByRole('button', { name: `Line ${at + 2}`, exact: true });
    await first.waitFor();
    await panel(page).getByText('x-lattice.colour').waitFor();
    assert.equal(await editor(page).getAttribute('aria-invalid'), 'true');
    assert.equal(await panel(page).getByRole('button', { name: 'Review changes…' }).isDisabled(), true);
    await first.click();
    assert.equal(await selected(page), '  idle: { warn: soon }');
    await editor(page).scrollIntoViewIfNeeded();
    await look(page, 'template-faults');

    const good = [...lines.slice(0, at + 1), '  idle: { warn: 5m, pause: 10m, stop: 1h }', ...lines.slice(at + 1)].join('\n');
    await editor(page).fill(good);
    await panel(page).getByText('Nothing is wrong with it').waitFor();
    await panel(page).getByRole('button', { name: 'Review changes…' }).click();
    const review = page.getByRole('dialog', { name: 'What changes' });
    await review.getByRole('row', { name: /Added.*idle: \{ warn: 5m/ }).waitFor();
    await review.getByText('The desktop runs. If it restarts now').waitFor();
    await review.getByLabel('Note').fill('rests sooner');
    await look(page, 'template-review');
    await review.getByRole('button', { name: 'Apply', exact: true }).click();
    await review.waitFor({ state: 'hidden', timeout: DESKTOP_MS });
    await panel(page).getByText('made of an earlier version').waitFor();
    await version(page, 'Version 1: rests sooner').getByText('Now', { exact: true }).waitFor();
    assert.equal(await since(), begun, 'the desktop went on');
    assert.deepEqual([(await read('/template')).running, (await read('/template')).text], [false, good]);
    assert.equal((await read('/snapshots')).snapshots[0].cause, 'template');
    await look(page, 'template-applied');

    await version(page, 'As this server has it').getByRole('button', { name: 'Compare version 0 with now' }).click();
    const compared = page.getByRole('dialog', { name: 'Version 0 and now' });
    await compared.getByText('1 added').waitFor();
    await page.keyboard.press('Escape');
    await compared.waitFor({ state: 'hidden' });
    await version(page, 'As this server has it').getByRole('button', { name: 'Roll back to version 0…' }).click();
    const back = page.getByRole('dialog', { name: 'Roll back to version 0?' });
    await look(page, 'template-back');
    assert.equal(await focused(page), 'Cancel', 'what changes nothing has the focus');
    await back.getByRole('button', { name: 'Roll back and restart' }).click();
    await back.waitFor({ state: 'hidden', timeout: DESKTOP_MS });
    await version(page, 'Version 2: Version 0 again').getByText('Now', { exact: true }).waitFor();
    assert.equal(await editor(page).inputValue(), base);
    await eventually('the desktop to run anew', async () => {
      const { state, template_current: isCurrent } = await read('');
      return state === 'running' && isCurrent === true && (await since()) !== begun;
    }, DESKTOP_MS);
    await panel(page).getByText('made of an earlier version').waitFor({ state: 'detached' });
    assert.deepEqual(complaints, []);
  } finally {
    await close();
    await serve.end();
  }
});

test('the keyboard types, indents and leaves', doubleOnly(), async () => {
  const { double, admin } = house.reset();
  const { id } = double.addSession({ owner: admin, name: 'Maths' });
  await visitAsAdmin(`/#desktop/${id}`, async (page) => {
    await editor(page).waitFor();
    await editor(page).focus();
    await page.keyboard.press('Control+Home');
    await page.keyboard.type('a:');
    await page.keyboard.press('Enter');
    await page.keyboard.type('b: 1');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.type('c: 2');
    assert.match(await editor(page).inputValue(), /^a:\n {2}b: 1\n {4}c: 2name: desktop\n/);
    await page.keyboard.press('Shift+Tab');
    assert.match(await editor(page).inputValue(), /^a:\n {2}b: 1\n {2}c: 2name/);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Tab');
    assert.notEqual(await focused(page), 'Template, as YAML');
    await page.keyboard.press('Shift+Tab');
    assert.equal(await focused(page), 'Template, as YAML');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Shift+Tab');
    assert.notEqual(await focused(page), 'Template, as YAML');
    await panel(page).getByRole('button', { name: 'Discard changes' }).click();
    assert.equal(await editor(page).inputValue(), TEMPLATE);
  });
});

test('a version that comes between loses nothing of what was typed', doubleOnly(), async () => {
  const { double, admin } = house.reset();
  const one = double.addSession({ owner: admin, name: 'Maths' });
  const [mine, theirs] = ['mem_limit: 2g', 'mem_limit: 512m'].map((limit) => TEMPLATE.replace('mem_limit: 1g', limit));
  await visitAsAdmin(`/#desktop/${one.id}`, async (page) => {
    await editor(page).fill(TEMPLATE.replace('mem_limit: 1g', 'mem_limit: x'));
    await panel(page).getByRole('button', { name: 'Line 3', exact: true }).click();
    assert.equal(await selected(page), '  code: { image: lattice/vscode-golang, mem_limit: x }');
    await editor(page).fill(/** @type {string} */ (mine));
    await panel(page).getByText('Nothing is wrong with it').waitFor();
    await panel(page).getByRole('button', { name: 'Review changes…' }).click();
    // Nothing is told of it: who applies hears of it by the answer.
    addVersion(one, /** @type {string} */ (theirs), 'Ben');
    await page.getByRole('dialog').getByRole('button', { name: 'Apply', exact: true }).click();
    await panel(page).getByText('Somebody else applied version 1 meanwhile').waitFor();
    assert.equal(await editor(page).inputValue(), mine);
    await look(page, 'template-between');
    await panel(page).getByRole('button', { name: 'Go on with mine' }).click();
    await panel(page).getByRole('button', { name: 'Review changes…' }).click();
    const review = page.getByRole('dialog', { name: 'What changes' });
    await review.getByText('mem_limit: 512m').waitFor();
    await review.getByRole('button', { name: 'Apply and restart' }).click();
    await version(page, 'Version 2').getByText('Now', { exact: true }).waitFor();
    assert.equal(one.versions?.at(-1)?.text, mine);
    // Told of it: what nobody changed is simply the newest.
    addVersion(one, TEMPLATE, 'Ben');
    double.tell(one);
    await version(page, 'Version 3').getByText('Now', { exact: true }).waitFor();
    assert.equal(await editor(page).inputValue(), TEMPLATE);
  });
});

test('who may not change it reads it', doubleOnly(), async () => {
  const { double, member } = house.reset();
  const one = double.addSession({ owner: member, name: 'Maths', made_of: 0 });
  addVersion(one, TEMPLATE.replace('1g', '2g'), 'Ada', 'more memory');
  await visitAsMember(`/#desktop/${one.id}`, async (page) => {
    await panel(page).getByText('Administrators change it on this server.').waitFor();
    assert.equal(await editor(page).isEditable(), false);
    assert.equal(await panel(page).getByRole('button', { name: /Review|Roll back|Discard/ }).count(), 0);
    await panel(page).getByRole('button', { name: 'Compare version 0 with now' }).click();
    await page.getByRole('dialog', { name: 'Version 0 and now' }).getByText('1 added, 1 removed').waitFor();
    await page.keyboard.press('Escape');
    await editor(page).focus();
    await page.keyboard.press('Tab');
    assert.notEqual(await focused(page), 'Template, as YAML', 'Tab goes on where nothing is typed');
    await panel(page).scrollIntoViewIfNeeded();
    await look(page, 'template-read');
  });
});

test('where it cannot be read or applied, that is said and can be tried again', doubleOnly(), async () => {
  const { double, admin } = house.reset();
  const { id } = double.addSession({ owner: admin, name: 'Maths' });
  const heal = double.fault({ match: new RegExp(`^GET /api/v1/sessions/${id}/template$`), status: 503, title: 'Not possible now', detail: 'the database is locked at this moment; try again soon' });
  await visitAsAdmin(`/#desktop/${id}`, async (page) => {
    await panel(page).getByText('The template could not be read').waitFor();
    await panel(page).scrollIntoViewIfNeeded();
    await look(page, 'template-unread');
    heal();
    await panel(page).getByRole('button', { name: 'Try again' }).click();
    await editor(page).fill(`${TEMPLATE}# more\n`);
    await panel(page).getByRole('button', { name: 'Review changes…' }).click();
    const full = 'nothing was changed, since no snapshot of Data could be made: the disk is full';
    const unfill = double.fault({ match: new RegExp(`^PUT /api/v1/sessions/${id}/template`), status: 507, title: 'Disk full', detail: full });
    const review = page.getByRole('dialog', { name: 'What changes' });
    await review.getByRole('button', { name: 'Apply', exact: true }).click();
    await review.getByText(/no snapshot of Data could be made/i).waitFor();
    await look(page, 'template-refused');
    unfill();
    await review.getByRole('button', { name: 'Apply', exact: true }).click();
    await review.waitFor({ state: 'hidden' });
    await version(page, 'Version 1').getByText('Now', { exact: true }).waitFor();
  });
});
