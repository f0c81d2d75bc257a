// @ts-check
/**
 * Lessons, as somebody has them who sits at a desktop made of containers: VS Code from the menu, a Vue
 * page that is changed and clicked, a Go program that is written, built and run. All by keyboard and
 * mouse, through the viewer.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, shoot } from '../lib/browser.mjs';
import { docker, ids } from '../lib/engine.mjs';
import { card } from '../lib/home.mjs';
import { PROGRAM_MS, Seat } from '../lib/seat.mjs';
import { Serve } from '../lib/serve.mjs';
import { eventually, sleep } from '../lib/wait.mjs';

/** What VS Code's windows are called; and its page, in the app's own container. */
const CODE = / - Code$/;
const PAGE = 'http://127.0.0.1:20080/';
/** Where its terminal is while it is open. */
const TERMINAL = /** @type {const} */ ([850, 640]);
/** Where the panel has the first window that was opened, and the second. */
const TASKS = /** @type {const} */ ({ code: [336, 748], page: [536, 748] });
/** What nothing else is painted with: an address that Vite prints, and the button of the Vue page. */
const [ADDRESS, BUTTON] = [0x037a98, 0x1f8a7d];

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Serve} */
let serve;

before(async () => {
  browser = await launch();
  serve = new Serve();
  // What is ready ahead of time would only take memory here.
  serve.environment = { LATTICE_BROKER__POOL: '0', LATTICE_LOG: 'info' };
  await serve.launch('--runtime', 'docker');
});

after(async () => {
  await browser.close();
  await serve.end();
});

/**
 * A lesson at a desktop of this template, which is deleted after it.
 * @param {string} template its title
 * @param {string} name of screenshots
 * @param {(seat: Seat) => Promise<void>} lesson
 */
async function lesson(template, name, lesson) {
  const { page, complaints, close } = await open(browser, await serve.admin('url'));
  await page.getByRole('button', { name: 'Not now' }).click();
  const places = { run: `${serve.data}/desktops`, data: serve.data };
  const seat = await Seat.take(page, template, places, name);
  try {
    await lesson(seat);
  } catch (error) {
    await seat.shoot('failed');
    console.log(`windows: ${await seat.display.titles()}\n${serve.log}`);
    throw error;
  } finally {
    seat.end();
  }
  assert.deepEqual(complaints, []);
  await close();
  await serve.ask(await serve.admin('token'), 'DELETE', `/api/v1/sessions/${seat.session}`);
}

/** The container of VS Code. @param {Seat} seat */
const container = ({ session }) => `lattice-${session}-app-code`;

/** What a page says to who asks for it in the app's own container. @param {Seat} seat @param {string} url */
function ask(seat, url) {
  const script = `fetch('${url}').then(async (page) => console.log(page.status, await page.text()), () => {})`;
  return enter(seat, 'node', '-e', script);
}

/**
 * Runs a program in that container. Of a desktop that stands still for a snapshot, which lasts a moment, the
 * engine runs nothing.
 * @param {Seat} seat @param {...string} words @returns {Promise<string>} what it said
 */
async function enter(seat, ...words) {
  for (;;) {
    try {
      return await docker('exec', container(seat), ...words);
    } catch (error) {
      if (!/ is paused/.test(String(error))) throw error;
      await sleep(100);
    }
  }
}

/** VS Code, which is open from the start, is closed and opened again from the menu. @param {Seat} seat */
async function openCode(seat) {
  await seat.title(CODE);
  await seat.rest();
  await seat.shoot('code-at-start');
  assert.match(await ask(seat, PAGE), /^200 [^]*<meta id="vscode-workbench-web-configuration"/);
  await seat.close(CODE);
  await eventually('its container to end', async () => (await ids(`name=${container(seat)}`, 'ps')).length === 0, PROGRAM_MS);
  await seat.open('vs code', CODE);
  assert.match(await ask(seat, PAGE), /^200 [^]*<meta id="vscode-workbench-web-configuration"/);
}

/** Has VS Code show a file in an editor, at the beginning of a line. @param {Seat} seat @param {string} name @param {number} line */
async function edit(seat, name, line) {
  await seat.see(() => seat.press('Control+p'));
  await seat.see(() => seat.type(name));
  await seat.press('Enter');
  await seat.title(new RegExp(`^${name.replace('.', '\\.')} - .* - Code$`));
  await seat.see(() => seat.press('Control+g'));
  await seat.type(`${line}`);
  await seat.see(() => seat.press('Enter'));
}

/**
 * Opens VS Code's terminal with a shell in it. While VS Code starts it hears no keys, and pages that have
 * just come take them to themselves.
 * @param {Seat} seat
 */
const openTerminal = (seat) => seat.shell(TERMINAL, () => seat.press('Control+Backquote'));

/**
 * The Vue page by its preview's address, beside the desktop: for its owner, for nobody else, and for
 * guests of the desktop.
 * @param {Seat} seat
 */
async function openPreview(seat) {
  const token = await serve.admin('token');
  const { previews: [found] } = await serve.ask(token, 'GET', `/api/v1/sessions/${seat.session}/previews`);
  assert.deepEqual([found.port, found.app, found.is_open], [5173, 'code', true]);
  const shows = (/** @type {import('playwright-core').Page} */ page) => page.getByRole('heading', { name: /^Hello, / }).waitFor({ timeout: PROGRAM_MS });

  // By the desktop's page, as its owner finds it.
  const home = await seat.page.context().newPage();
  await home.goto(new URL(`/#desktop/${seat.session}`, serve.url).href);
  const [preview] = await Promise.all([
    home.context().waitForEvent('page'), home.getByRole('link', { name: 'See port 5173 of VS Code' }).click(),
  ]);
  await shoot(home, 'vue-home');
  await shows(preview);
  assert.equal(new URL(preview.url()).origin, found.url);
  await preview.evaluate(() => { (/** @type {any} */ (window)).isFirstLoad = true; });
  await home.close();

  const stranger = await open(browser, found.url);
  await stranger.page.getByRole('heading', { name: 'Sign in to see this preview' }).waitFor();
  await shoot(stranger.page, 'vue-preview-stranger');
  const link = await serve.ask(token, 'POST', `/api/v1/sessions/${seat.session}/links`, { role: 'view' });
  await stranger.page.goto(link.url);
  await stranger.page.waitForURL(/\/d\//);
  await stranger.page.goto(found.url);
  await shows(stranger.page);
  await serve.ask(token, 'DELETE', `/api/v1/sessions/${seat.session}/links/${link.id}`);
  await eventually('the preview to be closed with the link', async () => {
    // One that is closed while it loads may never end loading.
    await stranger.page.goto(found.url, { waitUntil: 'commit', timeout: 5000 }).catch(() => null);
    return stranger.page.getByRole('heading', { name: /There is no such preview for you|Sign in to see/ }).waitFor({ timeout: 3000 }).then(() => true, () => false);
  }, PROGRAM_MS);
  await shoot(stranger.page, 'vue-preview-revoked');
  await stranger.close();
  await sharePage(seat, token, shows);
  return preview;
}

/**
 * The same page by a link to it alone: its holder sees it by its own address, and is nobody to the desktop.
 * @param {Seat} seat @param {string} token @param {(page: import('playwright-core').Page) => Promise<void>} shows
 */
async function sharePage(seat, token, shows) {
  const guest = await open(browser, new URL('/healthz', serve.url).href);
  const { id, url } = await serve.ask(token, 'POST', `/api/v1/sessions/${seat.session}/preview-links`, { port: 5173 });
  await guest.page.goto(url);
  await shows(guest.page);
  assert.match(new URL(guest.page.url()).hostname, new RegExp(`^5173--${seat.session}\\.`));
  await shoot(guest.page, 'vue-page-shared');
  const cookies = await guest.page.context().cookies(serve.url);
  assert.deepEqual(cookies.filter(({ name }) => !name.startsWith('lattice-preview')), [], 'nobody is signed in by it');
  for (const path of ['', '/picture', '/previews', '/logs?part=desktop']) {
    const answer = await guest.page.request.get(new URL(`/api/v1/sessions/${seat.session}${path}`, serve.url).href);
    assert.equal(answer.status(), 401, path);
  }
  await serve.ask(token, 'DELETE', `/api/v1/sessions/${seat.session}/preview-links/${id}`);
  await eventually('the page to be closed with its link', async () => {
    await guest.page.goto(`http://5173--${seat.session}.localhost:${new URL(serve.url).port}/`, { waitUntil: 'commit', timeout: 5000 }).catch(() => null);
    return guest.page.getByRole('heading', { name: 'Sign in to see this preview' }).waitFor({ timeout: 3000 }).then(() => true, () => false);
  }, PROGRAM_MS);
  await guest.close();
}

/**
 * What goes wrong afterwards, and how each is gone back from by its owner's own page: the project is broken
 * and restored, the template changed and rolled back, the desktop deleted and undone.
 * @param {Seat} seat @param {string} address of the page's preview
 */
async function goBack(seat, address) {
  const home = await seat.page.context().newPage();
  const mine = () => home.goto(new URL('/', serve.url).href);
  const name = await (async () => {
    const one = await serve.ask(await serve.admin('token'), 'GET', `/api/v1/sessions/${seat.session}`);
    return one.name;
  })();
  await mine();
  await card(home, name).getByRole('button', { name: `More for ${name}` }).click();
  await home.getByRole('button', { name: 'Snapshots…' }).click();
  const dialog = home.getByRole('dialog', { name: `Snapshots of ${name}` });
  await dialog.getByRole('button', { name: 'Make one now' }).click();
  const row = dialog.getByRole('listitem').filter({ hasText: 'Asked for' }).first();
  await row.waitFor({ timeout: PROGRAM_MS });
  const page = seat.read('vue-project/src/App.vue');
  await enter(seat, 'rm', '-rf', '/home/student/Data/vue-project/src');
  assert.equal(seat.read('vue-project/src/App.vue'), '');
  await row.getByRole('button', { name: /^Restore everything/ }).click();
  await home.keyboard.press('Tab');
  await home.keyboard.press('Enter');
  await dialog.getByText('Everything is restored').last().waitFor({ timeout: PROGRAM_MS });
  await shoot(home, 'vue-restored');
  assert.deepEqual(seat.read('vue-project/src/App.vue'), page);
  await eventually('the page to be served again', async () => /watch\(count/.test(await ask(seat, 'http://127.0.0.1:5173/src/App.vue')), PROGRAM_MS);
  const preview = await home.context().newPage();
  await preview.goto(address);
  await preview.getByRole('heading', { name: /^Hello, / }).waitFor({ timeout: PROGRAM_MS });
  await preview.close();

  await home.goto(new URL(`/#desktop/${seat.session}`, serve.url).href);
  await home.reload();
  const panel = home.getByRole('region', { name: 'Template' });
  const editor = home.getByRole('textbox', { name: 'Template, as YAML' });
  await editor.waitFor();
  const before = await editor.inputValue();
  await editor.fill(before.replace('mem_limit: 2g', 'mem_limit: 1900m'));
  await panel.getByRole('button', { name: 'Review changes…' }).click();
  const review = home.getByRole('dialog', { name: 'What changes' });
  await review.getByText('mem_limit: 1900m').waitFor();
  await review.getByRole('button', { name: 'Apply', exact: true }).click();
  await review.waitFor({ state: 'hidden', timeout: PROGRAM_MS });
  const version = (/** @type {string} */ text) => panel.getByRole('listitem').filter({ hasText: text });
  await version('Version 1').getByText('Now', { exact: true }).waitFor();
  await shoot(home, 'vue-template');
  await panel.getByRole('button', { name: 'Roll back to version 0…' }).click();
  const back = home.getByRole('dialog', { name: 'Roll back to version 0?' });
  await back.getByRole('button', { name: 'Roll back', exact: true }).click();
  await back.waitFor({ state: 'hidden', timeout: PROGRAM_MS });
  await version('Version 2').getByText('Now', { exact: true }).waitFor();
  assert.equal(await editor.inputValue(), before);

  await home.getByRole('button', { name: 'Delete', exact: true }).click();
  await home.getByRole('heading', { name: 'My desktops' }).waitFor();
  await card(home, name).waitFor({ state: 'detached' });
  await home.locator('.toast').getByRole('button', { name: 'Undo' }).click();
  await card(home, name).waitFor();
  assert.deepEqual(seat.read('vue-project/src/App.vue'), page);
  await shoot(home, 'vue-undone');
  await home.close();
}

test('a Vue page is run, seen in the browser of the desktop, changed in VS Code, and clicked', () => lesson('Node + Vue + VS Code', 'vue', async (seat) => {
  await openCode(seat);
  await openTerminal(seat);
  await seat.type('npm run dev\n');
  await eventually('the page to be served', async () => /^200 [^]*My first Vue page/.test(await ask(seat, 'http://127.0.0.1:5173/')), PROGRAM_MS);
  await seat.rest();
  await seat.shoot('served');
  // As the project's own words have it: a click on the address while Ctrl is held.
  await seat.follow(await seat.painted(ADDRESS), /^My first Vue page - /);
  await seat.painted(BUTTON);
  await seat.rest();
  await seat.shoot('page');
  const preview = await openPreview(seat);

  await seat.see(() => seat.click(TASKS.code));
  await edit(seat, 'App.vue', 4);
  await seat.press('Shift+End');
  await seat.type("import { ref, watch } from 'vue';");
  await seat.press('ArrowDown', 'ArrowDown', 'ArrowDown', 'End', 'Enter');
  await seat.type('watch(count, (n) => { document.title = `${n} so far`; });');
  await seat.save('vue-project/src/App.vue', /import \{ ref, watch \} from 'vue';\n\n.*\n.*\nwatch\(count, \(n\) => \{ document\.title = `\$\{n\} so far`; \}\);\n/);
  await seat.rest();
  await seat.shoot('edited');
  await seat.see(() => seat.click(TASKS.page));
  await eventually('the page to follow', async () => {
    await seat.click(await seat.painted(BUTTON));
    await seat.rest();
    return (await seat.display.titles()).some((title) => /^\d+ so far - /.test(title));
  }, PROGRAM_MS);
  await seat.shoot('clicked');
  // The same page by its own address has followed without being loaded again: its socket is joined, too.
  await eventually('the preview to follow', async () => {
    await preview.getByRole('button').click();
    return /^\d+ so far$/.test(await preview.title());
  }, PROGRAM_MS);
  assert.equal(await preview.evaluate(() => (/** @type {any} */ (window)).isFirstLoad), true);
  await shoot(preview, 'vue-preview');
  const address = preview.url();
  await preview.close();
  await goBack(seat, address);
}));

test('a Go program is written, built and run', () => lesson('Go + VS Code', 'go', async (seat) => {
  await openCode(seat);
  await openTerminal(seat);
  await edit(seat, 'main.go', 1);
  await seat.press('Control+a', 'Delete');
  for (const line of [
    'package main', 'import ("fmt"; "os")', '',
    'func greeting(name string) string { return "Hello, " + name + "!" }', '',
    'func main() { fmt.Println(greeting(os.Args[1]), "Seven squared is", 7*7) }',
  ]) {
    await seat.type(line);
    // What is suggested is not what is meant.
    await seat.press('Escape', 'Enter');
  }
  // Go's language server puts it in order, once it is there.
  await seat.save('go-project/main.go', /^package main\n\nimport \(\n\t"fmt"\n\t"os"\n\)\n\nfunc greeting/);
  await seat.rest();
  await seat.shoot('written');
  await seat.see(() => seat.click(TERMINAL));
  await seat.type('go build -o hello && ./hello Ada | tee out.txt\n');
  await seat.file('go-project/out.txt', /^Hello, Ada! Seven squared is 49\n$/);
  await seat.rest();
  await seat.shoot('run');
  assert.equal(seat.read('go-project/hello').slice(1, 4), 'ELF');
}));
