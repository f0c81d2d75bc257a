// @ts-check
/** Desktops as a person keeps them: pictures, names, copies, a way back, and a page for each. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.mjs';
import { House, MEMBER, card, doubleOnly, fill, look, press, visits } from '../lib/home.mjs';
import { TEMPLATE, addVersion } from '../lib/double-templates.mjs';
import { desktop, png } from '../lib/still.mjs';
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

const GIB = 1024 ** 3;
const USAGE = Object.freeze({
  since: new Date(Date.now() - 7_260_000).toISOString(), memory_bytes: 641 * 1024 ** 2, cpu_percent: 35,
  parts: [...['xorg', 'dbus', 'api', 'desktop'].map((name) => ({ name, app: false, state: 'running' })), { name: 'code', app: true, state: 'running' }],
});
const STORAGE = Object.freeze({
  data: { used_bytes: 1.4 * GIB, limit_bytes: 5 * GIB, full: false }, home: { used_bytes: 0.97 * GIB, limit_bytes: GIB, full: true },
  apps: { used_bytes: 214 * 1024 ** 2, limit_bytes: GIB, full: false }, enforced: true,
});
const APPS = () => [
  { name: 'code', title: 'VS Code', icon: 'code', state: 'running' }, { name: 'chromium', title: 'Chromium', icon: 'chromium', state: 'closed' },
  { name: 'terminal', title: 'Terminal', icon: 'terminal', state: 'ended', reason: 'no more memory' },
];

const README = [
  '# Begin here', 'Your project is in **Data**. Open a terminal and type `npm run dev`.', '- [Vue’s guide](https://vuejs.org/guide/)', '- [a trap](javascript:alert(1))',
  '<img src=x onerror=alert(1)>', '```sh\nnpm install\nnpm run dev -- --host\n```',
].join('\n\n');

/** The colour in the middle of a card's picture, where it is shown. @param {Page} page @param {string} id */
const middle = (page, id) => page.locator(`.desk[data-session="${id}"] .still`).evaluate((canvas) => {
  if (!(canvas instanceof HTMLCanvasElement) || canvas.dataset.shown !== 'true') return null;
  return [...(canvas.getContext('2d')?.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data ?? [])].slice(0, 3);
});

/** Something in a corner, and the rest of one colour. @param {number} width @param {number} height @param {number[]} color */
const filled = (width, height, color) => png(width, height, (x, y) => (x + y === 0 ? [255, 255, 255] : color));

test('cards show what desktops show, as it changes, and only while somebody looks', doubleOnly(), async () => {
  const { double, member } = house.reset();
  const one = double.addSession({ owner: member, name: 'One', png: filled(384, 216, [200, 10, 10]) });
  const far = Array.from({ length: 12 }, (_, at) => double.addSession({ owner: member, name: `Far ${at}`, png: filled(8, 8, [1, 2, 3]) })).at(-1);
  const asked = (/** @type {string} */ id) => double.asked.filter((line) => line.startsWith(`GET /api/v1/sessions/${id}/picture`)).length;
  await visitAsMember('/', async (page) => {
    await eventually('the first picture', async () => String(await middle(page, one.id)) === '200,10,10');
    double.show(one, filled(384, 216, [10, 10, 200]));
    await eventually('the next picture', async () => String(await middle(page, one.id)) === '10,10,200');
    assert.equal(asked(one.id), 2, 'each picture is asked for once');
    assert.equal(asked(far?.id ?? ''), 0, 'what is out of sight is not asked for');
    double.become(one, 'stopped');
    await eventually('the picture to go with the desktop', async () => (await middle(page, one.id)) === null);
  });
});

test('a desktop that has just come up shows no black picture before the first real one', doubleOnly(), async () => {
  const { double, member } = house.reset();
  const one = double.addSession({ owner: member, name: 'Fresh', png: png(384, 216, () => [0, 0, 0]), picture: 1 });
  await visitAsMember('/', async (page) => {
    await eventually('the black picture to be asked for', () => double.asked.some((line) => line.includes(`${one.id}/picture`)));
    await page.locator(`.desk[data-session="${one.id}"] .still`).evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve, 200)); }));
    assert.equal(await middle(page, one.id), null);
    await look(page, 'first-picture');
    double.show(one, desktop());
    await eventually('the first real picture', async () => (await middle(page, one.id)) !== null);
    // Whoever then fills their screen with one colour sees that.
    double.show(one, png(384, 216, () => [0, 0, 0]));
    await eventually('a black screen', async () => String(await middle(page, one.id)) === '0,0,0');
  });
});

test('what is no picture, or a large one, is not decoded', doubleOnly(), async () => {
  const { double, member } = house.reset();
  const bad = {
    bomb: png(1, 1, () => [0, 0, 0], [50_000, 50_000]), wide: png(385, 10, () => [0, 0, 0]), text: Buffer.from('<script>alert(1)</script>'.repeat(9)),
    svg: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'), huge: Buffer.alloc(400 << 10, png(2, 2, () => [1, 1, 1])),
    cut: png(64, 64, (x, y) => [x, y, 0]).subarray(0, 60), empty: Buffer.alloc(1),
  };
  const made = Object.entries(bad).map(([name, bytes]) => double.addSession({ owner: member, name, png: bytes }));
  await visitAsMember('/', async (page) => {
    for (const { id, name } of made) {
      await page.locator(`.desk[data-session="${id}"]`).scrollIntoViewIfNeeded();
      await eventually(`${name} to be asked for`, () => double.asked.some((line) => line.includes(`${id}/picture`)));
      const canvas = page.locator(`.desk[data-session="${id}"] .still`);
      assert.equal(await canvas.getAttribute('data-shown'), 'false', name);
      assert.ok(await canvas.evaluate((it) => /** @type {HTMLCanvasElement} */ (it).width <= 384), name);
    }
    const good = /** @type {import('../lib/double.mjs').Session} */ (made[0]);
    await page.locator(`.desk[data-session="${good.id}"]`).scrollIntoViewIfNeeded();
    double.show(good, filled(4, 4, [9, 9, 9]));
    await eventually('a good one after a bad one', async () => String(await middle(page, good.id)) === '9,9,9');
  });
});

test('a desktop is deleted by one press, and undone by the next', doubleOnly(), async () => {
  const { double, member } = house.reset();
  const one = double.addSession({ owner: member, name: 'Maths', png: desktop() });
  double.addSession({ owner: member, name: 'Physics', png: desktop() });
  double.addLink(one);
  await visitAsMember('/', async (page) => {
    await card(page, 'Maths').getByRole('button', { name: 'Delete Maths' }).click();
    await card(page, 'Maths').waitFor({ state: 'detached' });
    await page.locator('.toast').getByText('Maths is deleted').waitFor();
    const row = page.locator('.thrown').filter({ hasText: 'Maths' });
    await row.getByText('what is open in it is still open').waitFor();
    await look(page, 'deleted');
    await page.locator('.toast').getByRole('button', { name: 'Undo' }).click();
    await card(page, 'Maths').getByRole('link', { name: 'Open Maths' }).waitFor();
    await row.waitFor({ state: 'detached' });
    assert.equal(one.links.length, 1, 'its links are back');

    await card(page, 'Maths').getByRole('button', { name: 'Delete Maths' }).click();
    await row.waitFor();
    await page.reload();
    await row.getByRole('button', { name: 'Bring back Maths' }).click();
    await card(page, 'Maths').waitFor();
    await card(page, 'Maths').getByRole('button', { name: 'Delete Maths' }).click();
    await row.getByRole('button', { name: 'Delete now: Maths' }).click();
    const dialog = page.getByRole('dialog', { name: 'Delete Maths for good?' });
    await look(page, 'forget');
    assert.ok(!double.asked.some((line) => line.startsWith('DELETE')), 'nothing is done before the answer');
    await dialog.getByRole('button', { name: 'Delete for good' }).click();
    await row.waitFor({ state: 'detached' });
    await page.locator('.toast').getByText('Maths is gone for good').waitFor();
    await page.getByRole('heading', { name: 'Recently deleted' }).waitFor({ state: 'detached' });
  });
});

test('what was deleted elsewhere, and long ago, says how long it can be had back', doubleOnly(), async () => {
  const { double, member } = house.reset();
  const one = double.addSession({ owner: member, name: 'Essay' });
  await visitAsMember('/', async (page) => {
    await card(page, 'Essay').waitFor();
    double.discard(one, new Date(Date.now() - 86_400_000 * 2).toISOString());
    await page.locator('.thrown').getByText('Gone for good in 5 days').waitFor();
    await page.getByRole('heading', { name: 'Start your first desktop' }).waitFor();
  });
});

test('a desktop is renamed, duplicated and restarted', doubleOnly(), async () => {
  const { double, member } = house.reset();
  double.startMs = 400;
  double.addSession({ owner: member, name: 'Maths' });
  await visitAsMember('/', async (page) => {
    const more = async (/** @type {string} */ name, /** @type {string} */ word) => {
      await card(page, name).getByRole('button', { name: `More for ${name}` }).click();
      await card(page, name).getByRole('button', { name: word }).click();
    };
    await card(page, 'Maths').getByRole('button', { name: 'More for Maths' }).click();
    await look(page, 'more-all');
    await page.keyboard.press('Escape');
    await more('Maths', 'Rename…');
    const rename = page.getByRole('dialog', { name: 'Rename Maths' });
    assert.equal(await rename.getByLabel('Name').inputValue(), 'Maths');
    await look(page, 'rename');
    const refuse = double.fault({ match: /PATCH/, status: 400, detail: '`name` must be 1 to 64 characters that can be seen' });
    await rename.getByLabel('Name').fill('Algebra');
    await rename.getByRole('button', { name: 'Save' }).click();
    await rename.getByRole('alert').filter({ hasText: 'must be 1 to 64 characters' }).waitFor();
    refuse();
    await rename.getByRole('button', { name: 'Save' }).click();
    await card(page, 'Algebra').waitFor();
    await more('Algebra', 'Duplicate…');
    const twin = page.getByRole('dialog', { name: 'Duplicate Algebra' });
    await twin.getByText('they belong to you, not to one desktop').waitFor();
    await look(page, 'duplicate');
    assert.equal(await twin.getByLabel('Name of the new desktop').inputValue(), 'Algebra (2)');
    await twin.getByRole('button', { name: 'Duplicate' }).click();
    await card(page, 'Algebra (2)').getByRole('link', { name: 'Open Algebra (2)' }).waitFor();
    await more('Algebra', 'Restart…');
    await page.getByRole('dialog', { name: 'Restart Algebra?' }).getByRole('button', { name: 'Restart' }).click();
    await card(page, 'Algebra').getByText('Starting', { exact: true }).waitFor();
    await card(page, 'Algebra').getByText('Running', { exact: true }).waitFor();
  });
});

test('desktops are found by any of their words', doubleOnly(), async () => {
  const made = house.reset();
  fill(made);
  await visitAsMember('/', async (page) => {
    const field = page.getByRole('searchbox', { name: 'Search desktops' });
    await field.fill('maths');
    await card(page, 'Maths with Mr Weller').waitFor();
    await eventually('the others to be hidden', async () => (await page.locator('.desk[data-session]').count()) === 1);
    await page.getByText('1 of 8 desktops match').waitFor({ state: 'attached' });
    await field.fill('lovelace loops');
    await card(page, 'Lesson 4: loops').waitFor();
    await look(page, 'search');
    await field.fill('nothing of that name');
    await page.getByText('No desktop matches “nothing of that name”').waitFor();
    await look(page, 'search-none');
    await page.getByRole('button', { name: 'Show all' }).click();
    await eventually('all to be back', async () => (await page.locator('.desk[data-session]').count()) === 8);
    await field.fill('maths');
    await page.keyboard.press('Escape');
    await eventually('all to be back', async () => (await page.locator('.desk[data-session]').count()) === 8);
  });
});

test('what is told about a desktop is of its own version, and so is what it has no room for', doubleOnly(), async () => {
  const { double, member } = house.reset();
  double.templates = [{ id: 'desktop', title: 'Plain desktop', summary: 'Files, a terminal, a browser.', readme: README }];
  const one = double.addSession({ owner: member, name: 'Own', apps: APPS(), left_out: [{ app: 'inkscape', why: 'room' }, { app: 'code', why: 'name' }] });
  addVersion(one, `${TEMPLATE}  readme: 'What **this** one is for'\n`, 'Ada');
  await visitAsMember(`/#desktop/${one.id}`, async (page) => {
    await page.locator('.readme').getByText('What this one is for').waitFor();
    assert.equal(await page.locator('.readme').getByRole('heading', { name: 'Begin here' }).count(), 0);
    await page.getByText('The app inkscape is installed, but there was no room for it').waitFor();
    await page.getByText('The app code is installed, but this desktop has another app of that name').waitFor();
    await look(page, 'project-own-version');
    addVersion(one, `${TEMPLATE}  readme: 'Newer words'\n`, 'Ada');
    double.tell(one);
    await page.locator('.readme').getByText('Newer words').waitFor();
  });
});

test('a desktop has a page of its own', doubleOnly(), async () => {
  const { double, member } = house.reset();
  const watchers = [
    { viewer: 1, name: 'Sam Weller', role: 'owner', driving: true, you: true }, { viewer: 2, name: 'Guest 2', role: 'control', driving: false, you: false },
  ];
  double.templates = [{ id: 'desktop', title: 'Plain desktop', summary: 'Files, a terminal, a browser.', readme: README }];
  const one = double.addSession({ owner: member, name: 'Robotics', png: desktop(), usage: USAGE, storage: STORAGE, apps: APPS(), watchers });
  await visitAsMember('/', async (page) => {
    await card(page, 'Robotics').getByRole('link', { name: 'Robotics', exact: true }).click();
    await page.getByRole('heading', { name: 'Robotics', level: 1 }).waitFor();
    await page.getByText('641 MB').waitFor();
    for (const fact of ['35 % of one core', '2 hours', '1.4 GB of 5 GB', 'Guest 2', 'Session bus', 'Ended by itself: no more memory']) await page.getByText(fact, { exact: true }).first().waitFor();
    await eventually('the picture', async () => (await middle(page, one.id)) !== null);
    const readme = page.locator('.readme');
    await readme.getByRole('heading', { name: 'Begin here' }).waitFor();
    assert.equal(await readme.locator('code').first().innerText(), 'npm run dev');
    assert.equal(await readme.getByRole('link').count(), 1, 'what leads nowhere good is no link');
    assert.equal(await readme.locator('img, script').count(), 0);
    assert.equal(await page.title(), 'Robotics · Lattice');
    await look(page, 'project');
    await page.getByRole('button', { name: 'Open Chromium on the desktop' }).click();
    await page.getByRole('button', { name: 'Close Chromium' }).click();
    await page.getByRole('button', { name: 'Open Chromium on the desktop' }).waitFor();
    await page.getByRole('button', { name: 'Give control to Guest 2' }).click();
    await page.getByRole('button', { name: 'Take back control from Guest 2' }).waitFor();
    Object.assign(one, { usage: { ...USAGE, memory_bytes: 700 * 1024 ** 2 } });
    double.tell(one);
    await page.getByText('700 MB').waitFor();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByRole('heading', { name: 'My desktops' }).waitFor();
    await page.locator('.toast').getByRole('button', { name: 'Undo' }).click();
    await card(page, 'Robotics').waitFor();
    await page.goto(`${house.url}/#desktop/${one.id}`);
    double.become(one, 'stopped');
    await page.getByText('Start the desktop to open them.').waitFor();
    await look(page, 'project-stopped');
    await page.goto(`${house.url}/#desktop/aaaaaaaaaaaaaaaa`);
    await page.getByRole('heading', { name: 'This desktop is not here' }).waitFor();
    await look(page, 'project-gone');
    await page.getByRole('link', { name: 'To my desktops' }).click();
    await card(page, 'Robotics').waitFor();
  });
  await visitAsAdmin(`/#desktop/${one.id}`, async (page) => {
    await page.getByRole('heading', { name: 'Robotics', level: 1 }).waitFor();
    await page.getByText('These files belong to').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Duplicate' }).count(), 0, 'a copy would be the administrator’s own');
    await page.getByRole('link', { name: 'All desktops' }).first().click();
    await card(page, 'Robotics').waitFor();
  });
});

test('a list of pictures in every state', doubleOnly(), async () => {
  const made = house.reset();
  fill(made);
  for (const one of made.double.sessions) Object.assign(one, { png: desktop() });
  await visitAsMember('/', async (page) => {
    await eventually('pictures', async () => (await page.locator('.still[data-shown=true]').count()) >= 2);
    await look(page, 'pictures');
  });
});

test('deleting, undoing, and a desktop’s page need no mouse', doubleOnly(), async () => {
  const { double, member } = house.reset();
  double.addSession({ owner: member, name: 'Maths', usage: USAGE, apps: APPS() });
  await visitAsMember('/', async (page) => {
    await card(page, 'Maths').waitFor();
    await press(page, 'Delete Maths');
    await eventually('the offer to undo it to have the focus', () => page.evaluate(() => document.activeElement?.textContent === 'Undo'));
    await page.keyboard.press('Enter');
    await card(page, 'Maths').waitFor();
    await press(page, 'More for Maths');
    await press(page, 'Rename…');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    await page.keyboard.press('Control+A');
    await page.keyboard.type('Algebra');
    await page.keyboard.press('Enter');
    await card(page, 'Algebra').waitFor();
    await dialog.waitFor({ state: 'detached' });
    await page.locator('.desk h3 a').focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Algebra', level: 1 }).waitFor();
    await eventually('the title to have the focus', () => page.evaluate(() => document.activeElement?.tagName === 'H1'));
    await press(page, 'Open Chromium on the desktop');
    await press(page, 'Reset…');
    await eventually('the harmless answer to have the focus', () => page.evaluate(() => document.activeElement?.textContent === 'Cancel'));
    await page.keyboard.press('Escape');
    await press(page, 'Delete');
    await page.getByRole('heading', { name: 'Start your first desktop' }).waitFor();
    await press(page, 'Bring back Algebra');
    await card(page, 'Algebra').waitFor();
  });
});

test('who may only watch has no page for it and nothing to press', doubleOnly(), async () => {
  const { double, admin, member } = house.reset();
  const theirs = double.addSession({ owner: admin, name: 'Lesson', png: desktop() });
  theirs.grants.set(member.id, 'view');
  await visitAsMember(`/#desktop/${theirs.id}`, async (page) => {
    await page.getByRole('heading', { name: 'This desktop is not here' }).waitFor();
    await page.getByRole('link', { name: 'To my desktops' }).click();
    await card(page, 'Lesson').waitFor();
    assert.equal(await card(page, 'Lesson').getByRole('button').count(), 0);
    await eventually('its picture', async () => (await middle(page, theirs.id)) !== null);
  });
  assert.ok(MEMBER.name);
});
