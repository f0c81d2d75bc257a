// @ts-check
/** The home page: signing in, desktops, people; every state that a person may see. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, state, waitState } from '../lib/browser.mjs';
import { secret } from '../lib/double.mjs';
import { House, MEMBER, card, doubleOnly, fill, look, signIn, visits } from '../lib/home.mjs';
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
/** @type {ReturnType<typeof visits>['visitAsAdmin']} */
let visitAsAdmin;

before(async () => {
  browser = await launch();
  house = await House.open();
  ({ visit, visitAsMember, visitAsAdmin } = visits(browser, house));
});

after(async () => {
  await browser.close();
  await house.close();
});

// Signing in --------------------------------------------------------------------------------------

test('sign-in: wrong, then right, then out', async () => {
  if (house.double) house.reset();
  await visit('/', async (page) => {
    await waitState(page, 'out');
    await eventually('the name to have the focus', () => page.evaluate(() => document.activeElement?.id === 'f-name'));
    await look(page, 'signed-out');
    await page.getByLabel('Name', { exact: true }).fill(house.admin.name);
    await page.getByLabel('Password', { exact: true }).fill('not the password');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').filter({ hasText: 'is not right' }).waitFor();
    await look(page, 'wrong');
    const show = page.getByRole('button', { name: 'Show password' });
    await show.click();
    assert.equal(await page.getByLabel('Password', { exact: true }).getAttribute('type'), 'text');
    await show.click();
    assert.equal(await page.getByLabel('Password', { exact: true }).getAttribute('type'), 'password');
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), house.admin.name, 'what was typed is kept');
    await signIn(page, house.admin);
    assert.equal(await state(page), 'in');
    const cookies = await page.context().cookies();
    assert.ok(cookies.every(({ httpOnly }) => httpOnly), 'scripts cannot read the cookie');
    await page.reload();
    await waitState(page, 'in');
    await page.getByRole('button', { name: /^Account of/ }).click();
    await look(page, 'account');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await waitState(page, 'out');
    await page.reload();
    await waitState(page, 'out');
  });
});

test('sign-in: too many tries are counted down', doubleOnly(), async () => {
  const { double } = house.reset();
  await visit('/', async (page) => {
    double.fault({ match: /POST .*\/login/, status: 429, retryAfter: 30 });
    await page.getByLabel('Name', { exact: true }).fill('ada');
    await page.getByLabel('Password', { exact: true }).fill('x');
    await page.getByRole('button', { name: 'Sign in' }).click();
    const button = page.getByRole('button', { name: /Try again in \d+ s/ });
    await button.waitFor();
    assert.ok(await button.isDisabled());
    const first = await button.innerText();
    await look(page, 'too-many');
    await eventually('a second to pass', async () => (await button.innerText()) !== first);
  });
});

test('sign-in: it can be tried again once the time is over', doubleOnly(), async () => {
  const { double } = house.reset();
  await visit('/', async (page) => {
    const mend = double.fault({ match: /POST .*\/login/, status: 429, retryAfter: 1 });
    await page.getByLabel('Name', { exact: true }).fill(MEMBER.name);
    await page.getByLabel('Password', { exact: true }).fill(MEMBER.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: /Try again in/ }).waitFor();
    mend();
    await page.getByRole('button', { name: 'Sign in' }).click();
    await waitState(page, 'in');
  });
});

test('sign-in: a server that goes away is told from a wrong password', doubleOnly(), async () => {
  const { double } = house.reset();
  await visit('/', async (page) => {
    await waitState(page, 'out');
    double.fault({ match: /login/, cut: true });
    await page.getByLabel('Name', { exact: true }).fill('ada');
    await page.getByLabel('Password', { exact: true }).fill('x');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').filter({ hasText: 'does not answer' }).waitFor();
    await look(page, 'sign-in-away');
  });
});

test('checking: a slow server shows where things will be, an absent one a way to try again', doubleOnly(), async () => {
  const { double } = house.reset();
  let release = () => {};
  double.fault({ match: /GET .*\/me$/, hold: new Promise((resolve) => { release = () => resolve(undefined); }) });
  await visit('/', async (page) => {
    assert.equal(await state(page), 'checking');
    await page.locator('#skeleton').waitFor();
    await look(page, 'checking');
    const cut = double.fault({ match: /GET .*\/me$/, cut: true });
    double.faults.reverse();
    release();
    await page.reload();
    await waitState(page, 'away');
    await look(page, 'away');
    cut();
    double.faults = [];
    await page.getByRole('button', { name: 'Try again' }).click();
    await waitState(page, 'out');
  });
});

test('guests of a desktop find their way back to it', doubleOnly(), async () => {
  const { double, admin } = house.reset();
  const { url } = double.addLink(double.addSession({ owner: admin, name: 'Lesson' }));
  await visit('/', async (page) => {
    await page.goto(url);
    await page.waitForURL(/\/d\//);
    await page.goto(house.url);
    await waitState(page, 'out');
    await look(page, 'guest');
    await page.getByRole('link', { name: 'Go to it' }).click();
    await page.waitForURL(/\/d\//);
  });
});

// Desktops ----------------------------------------------------------------------------------------

test('a first desktop is started, opened, stopped and deleted', async () => {
  if (house.double) Object.assign(house.reset().double, { startMs: 700 });
  const visitor = house.double ? visitAsMember : visitAsAdmin;
  await visitor('/', async (page) => {
    const before = await page.locator('.desk[data-session]').count();
    if (before === 0) {
      await page.getByRole('heading', { name: 'Start your first desktop' }).waitFor();
      await look(page, 'empty');
      await page.getByRole('button', { name: 'Start a desktop' }).click();
    } else {
      await page.getByRole('button', { name: 'New desktop' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Start' }).click();
    }
    const desk = page.locator('.desk[data-session]').first();
    await desk.getByText('Starting', { exact: true }).waitFor();
    await look(page, 'starting');
    const link = desk.getByRole('link', { name: /^Open / });
    await link.waitFor();
    const id = await desk.getAttribute('data-session');
    assert.equal(await link.getAttribute('href'), `${house.url}/d/${id}`);
    const name = await desk.getByRole('heading').innerText();

    await desk.getByRole('button', { name: `Stop ${name}` }).click();
    const dialog = page.getByRole('dialog', { name: `Stop ${name}?` });
    await dialog.waitFor();
    await eventually('the harmless answer to have the focus', () => page.evaluate(() => document.activeElement?.textContent === 'Cancel'));
    await look(page, 'stop');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('aria-label')), `Stop ${name}`, 'the focus is back');
    await desk.getByRole('button', { name: `Stop ${name}` }).click();
    await dialog.getByRole('button', { name: 'Stop' }).click();
    await desk.getByText('Stopped', { exact: true }).waitFor();
    await desk.getByRole('button', { name: `Start ${name}` }).click();
    await link.waitFor();
    await link.click();
    await page.waitForURL(`**/d/${id}`);
    await page.goBack();

    const again = page.locator(`.desk[data-session="${id}"]`);
    await again.getByRole('button', { name: `Delete ${name}` }).click();
    await again.waitFor({ state: 'detached' });
    await page.locator('.toast').getByText(`${name} is deleted`).waitFor();
  });
});

test('a new desktop has a name, and is of the template that was chosen', doubleOnly(), async () => {
  const { double, member } = house.reset();
  double.addSession({ owner: member, name: 'First', state: 'stopped' });
  double.templates.push({ id: 'code', title: 'Programming', summary: 'An editor, Python and Go.' });
  await visitAsMember('/', async (page) => {
    await page.getByRole('button', { name: 'New desktop' }).click();
    const dialog = page.getByRole('dialog', { name: 'New desktop' });
    await page.keyboard.type('Robotics club');
    await dialog.getByRole('radio', { name: /Programming/ }).check();
    await look(page, 'new');
    await dialog.getByRole('button', { name: 'Start' }).click();
    await card(page, 'Robotics club').getByRole('link', { name: 'Open Robotics club' }).waitFor();
    assert.ok(double.asked.some((line) => line.includes('"template":"code"')));
  });
});

test('what a kind of desktop lacks on this machine is said before one is started', doubleOnly(), async () => {
  const { double, member, admin } = house.reset();
  double.templates.push({ id: 'java', title: 'Java', summary: 'VS Code with Java.', missing_images: ['lattice/vscode-java', 'r.example/draw@sha256:0a'] });
  for (const owner of [member, admin]) double.addSession({ owner, name: 'First', state: 'stopped' });
  await visitAsMember('/', async (page) => {
    await page.getByRole('button', { name: 'New desktop' }).click();
    await page.getByText('Some of its apps are not on this server yet. Ask an administrator for them.').waitFor();
  });
  await visitAsAdmin('/', async (page) => {
    await page.getByRole('button', { name: 'New desktop' }).click();
    await page.getByText('make images APPS="vscode-java"').waitFor();
    await page.getByText('docker pull r.example/draw@sha256:0a').waitFor();
    await look(page, 'new-lacks');
    const build = { image: 'lattice/vscode-java', state: 'running', number: 3, of: 4, step: 2, steps: 8, seconds: 12 };
    double.tellBuilds([build, { ...build, image: 'lattice/other' }], 0);
    const bar = page.getByRole('progressbar', { name: 'Building lattice/vscode-java' });
    await bar.waitFor();
    await page.getByText('Somebody is building it on the machine at this moment. Building lattice/vscode-java, 3 of 4, step 2 of 8', { exact: true }).waitFor();
    assert.equal(await page.getByText('make images APPS').count(), 0, 'nobody has to begin what goes on');
    assert.deepEqual([await bar.getAttribute('value'), await page.getByRole('progressbar').count()], ['0.125', 1]);
    await look(page, 'new-building');
    double.templates = double.templates.map((template) => ({ ...template, missing_images: [] }));
    double.tellBuilds([], 1);
    await page.getByText('Not on this machine yet').first().waitFor({ state: 'detached' });
    assert.equal(await page.getByRole('progressbar').count(), 0);
  });
});

test('desktops in every state, one’s own and those of others', doubleOnly(), async () => {
  const made = house.reset();
  fill(made);
  await visitAsMember('/', async (page) => {
    await page.getByRole('heading', { name: 'Shared with me' }).waitFor();
    await look(page, 'desktops');
    await card(page, 'Maths with Mr Weller').getByText('3 watching').waitFor();
    await card(page, 'Old project').getByText('The disk of this machine is full').waitFor();
    await card(page, 'Chemistry').getByText('Waiting for a place: 3rd in line, about 2 minutes').waitFor();
    const shared = card(page, 'Lesson 4: loops');
    await shared.getByText('Ada Lovelace').waitFor();
    assert.equal(await shared.getByRole('button').count(), 0, 'what is another person’s cannot be stopped, shared or deleted');
    assert.deepEqual(await page.getByRole('navigation').getByRole('link').allInnerTexts(), ['My desktops', 'Apps'], 'no administrator, no tabs of theirs');
  });
});

test('a desktop is paused, opened to go on, and reset after a question', doubleOnly(), async () => {
  const { double, member } = house.reset();
  double.addSession({ owner: member, name: 'Maths' });
  await visitAsMember('/', async (page) => {
    const desk = card(page, 'Maths');
    const more = desk.getByRole('button', { name: 'More for Maths' });
    await more.click();
    await look(page, 'more');
    await desk.getByRole('button', { name: 'Pause' }).click();
    await desk.getByText('Paused', { exact: true }).waitFor();
    await desk.getByRole('link', { name: 'Open Maths' }).waitFor();
    await more.click();
    assert.equal(await desk.getByRole('button', { name: 'Pause' }).count(), 0, 'it is paused already');
    await desk.getByRole('button', { name: 'Reset…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Reset Maths?' });
    await dialog.getByText('Files in Data stay').waitFor();
    await eventually('the harmless answer to have the focus', () => page.evaluate(() => document.activeElement?.textContent === 'Cancel'));
    await look(page, 'reset');
    assert.ok(!double.asked.some((line) => line.includes('/reset')), 'nothing is done before the answer');
    await dialog.getByRole('button', { name: 'Reset' }).click();
    await dialog.waitFor({ state: 'detached' });
    await desk.getByText('Running', { exact: true }).waitFor();
    assert.equal(double.asked.filter((line) => line.includes('/reset')).length, 1);
  });
});

test('changes arrive by themselves, and again after the server was away', doubleOnly(), async () => {
  const { double, member } = house.reset();
  const one = double.addSession({ owner: member, name: 'One', state: 'stopped' });
  await visitAsMember('/', async (page) => {
    await card(page, 'One').getByText('Stopped', { exact: true }).waitFor();
    double.become(one, 'running');
    await card(page, 'One').getByRole('link', { name: 'Open One' }).waitFor();
    double.drop(one);
    await page.getByRole('heading', { name: 'Start your first desktop' }).waitFor();
    await double.away();
    try {
      await page.getByText('What you see may be old').waitFor();
      await look(page, 'offline');
      double.addSession({ owner: member, name: 'Two' });
    } finally {
      await double.listen();
    }
    await card(page, 'Two').waitFor();
    await page.getByText('What you see may be old').waitFor({ state: 'detached' });
    double.addSession({ owner: member, name: 'Three' });
    await card(page, 'Three').waitFor();
  });
});

test('a list that cannot be read says so and can be asked for again', doubleOnly(), async () => {
  const { double, member } = house.reset();
  double.addSession({ owner: member, name: 'One' });
  const mend = double.fault({ match: /GET .*\/sessions/, status: 500 });
  await visitAsMember('/', async (page) => {
    await page.getByText('The desktops could not be read').waitFor();
    await look(page, 'failed');
    mend();
    await page.getByRole('button', { name: 'Try again' }).click();
    await card(page, 'One').waitFor();
  });
});

test('a list on its way keeps its place', doubleOnly(), async () => {
  const { double, member } = house.reset();
  double.addSession({ owner: member, name: 'One' });
  let release = () => {};
  double.fault({ match: /GET .*\/sessions/, hold: new Promise((resolve) => { release = () => resolve(undefined); }) });
  await visitAsMember('/', async (page) => {
    await page.locator('.cards[aria-busy=true]').waitFor();
    await look(page, 'loading');
    release();
    await card(page, 'One').waitFor();
  });
});

test('an answer that comes after what was told of the desktop since changes nothing back', doubleOnly(), async () => {
  const { double, member } = house.reset();
  double.addSession({ owner: member, name: 'One', state: 'stopped' });
  await visitAsMember('/', async (page) => {
    // It runs before the page has read that it starts, as on a network that loses a packet.
    for (const asked of ['**/api/v1/sessions', '**/api/v1/sessions/*/start']) {
      await page.route(asked, async (route) => {
        if (route.request().method() !== 'POST') return route.continue();
        const response = await route.fetch();
        await new Promise((resolve) => { setTimeout(resolve, 20 * double.startMs); });
        return route.fulfill({ response });
      });
    }
    const answered = (/** @type {RegExp} */ address) => page.waitForResponse((response) => address.test(response.url()) && response.request().method() === 'POST');
    const started = answered(/\/start$/);
    await page.getByRole('button', { name: 'Start One' }).click();
    await started;
    await page.getByRole('link', { name: 'Open One' }).waitFor();
    await page.getByRole('button', { name: 'New desktop' }).click();
    const made = answered(/\/sessions$/);
    await page.getByLabel('Name').fill('Two');
    await page.getByRole('dialog').getByRole('button', { name: 'Start' }).click();
    await made;
    await page.getByRole('link', { name: 'Open Two' }).waitFor();
  });
});

test('an action that is refused says why, and the page goes on', doubleOnly(), async () => {
  const { double, member } = house.reset();
  double.addSession({ owner: member, name: 'One', state: 'stopped' });
  double.fault({ match: /POST .*\/start/, status: 409, detail: 'all places of this machine are taken; stop another desktop first' });
  await visitAsMember('/', async (page) => {
    await page.getByRole('button', { name: 'Start One' }).click();
    await page.locator('.toast').getByText('All places of this machine are taken').waitFor();
    await look(page, 'refused');
    double.faults = [];
    await page.getByRole('button', { name: 'Start One' }).click();
    await page.getByRole('link', { name: 'Open One' }).waitFor();
  });
});

test('who is signed out elsewhere sees the way in', doubleOnly(), async () => {
  const { double, member } = house.reset();
  double.addSession({ owner: member, name: 'One', state: 'stopped' });
  await visitAsMember('/', async (page) => {
    await card(page, 'One').waitFor();
    double.logins.clear();
    await page.getByRole('button', { name: 'Start One' }).click();
    await waitState(page, 'out');
    assert.equal(await page.getByText('One', { exact: true }).count(), 0);
  });
});

// Administrators ----------------------------------------------------------------------------------

test('administrators see all desktops and add, switch off and delete people', async () => {
  if (house.double) fill(house.reset());
  const name = `robin-${secret(4).toLowerCase().replace(/[^a-z0-9]/g, 'x')}`;
  await visitAsAdmin('/', async (page) => {
    await page.getByRole('link', { name: 'All desktops' }).click();
    await page.getByRole('heading', { name: 'All desktops' }).waitFor();
    if (house.double) await card(page, 'History essay').getByText('Sam Weller').waitFor();
    await look(page, 'all');
    await page.getByRole('link', { name: 'People' }).click();
    await page.getByRole('button', { name: 'Add a person' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add a person' });
    await dialog.getByLabel('Name to sign in with').fill(name);
    await dialog.getByLabel('Name that others see').fill(`Robin ${name}`);
    await look(page, 'add-person');
    await dialog.getByRole('button', { name: 'Add' }).click();
    const invited = page.getByRole('dialog', { name: `Robin ${name} can sign in` });
    const url = await invited.getByLabel('One-time sign-in link').inputValue();
    assert.ok(url.startsWith(`${house.url}/enter#`), url);
    await invited.getByRole('img', { name: 'QR code of the sign-in link' }).waitFor();
    await look(page, 'invited');
    await invited.getByRole('button', { name: 'Done' }).click();
    const row = page.getByRole('listitem', { name: `Robin ${name}` });
    await row.getByText('No password yet').waitFor();

    const path = url.slice(house.url.length);
    await visit(path, async (guest) => {
      await guest.getByRole('button', { name: 'Not now' }).click();
      await waitState(guest, 'in');
    });
    await page.getByRole('button', { name: 'Add a person' }).click();
    await dialog.getByLabel('Name to sign in with').fill(name);
    await dialog.getByRole('button', { name: 'Add' }).click();
    await dialog.getByRole('alert').filter({ hasText: name }).waitFor();
    await page.keyboard.press('Escape');

    await row.getByRole('button', { name: `Switch off Robin ${name}` }).click();
    await row.getByText('Switched off').waitFor();
    await look(page, 'people');
    await row.getByRole('button', { name: `Delete Robin ${name}` }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await row.waitFor({ state: 'detached' });
    await page.goBack();
    await page.getByRole('heading', { name: 'All desktops' }).waitFor();
  });
});

test('people and tabs of administrators are hidden from members, whatever they type', doubleOnly(), async () => {
  const { double } = house.reset();
  await visitAsMember('/#people', async (page) => {
    await waitState(page, 'in');
    await page.getByRole('heading', { name: 'My desktops' }).waitFor();
    assert.equal(double.asked.some((line) => line.startsWith('GET /api/v1/users')), false);
  });
});

test('a list of people that cannot be read says so', doubleOnly(), async () => {
  const { double } = house.reset();
  const mend = double.fault({ match: /GET .*\/users/, status: 503 });
  await visitAsAdmin('/#people', async (page) => {
    await page.getByText('The people could not be read').waitFor();
    mend();
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('listitem', { name: MEMBER.display_name }).waitFor();
  });
});
