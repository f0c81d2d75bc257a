// @ts-check
/** The logs of a desktop on its page: followed, searched, downloaded, and never more than text. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.mjs';
import { House, doubleOnly, look, visits } from '../lib/home.mjs';
import { eventually } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('../lib/double.mjs').Log} Log */

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {House} */
let house;
/** @type {ReturnType<typeof visits>['visitAsMember']} */
let visitAsMember;

before(async () => {
  browser = await launch();
  house = await House.open();
  ({ visitAsMember } = visits(browser, house));
});

after(async () => {
  await browser.close();
  await house.close();
});

/** @param {...string} texts @returns {Log} */
const log = (...texts) => ({ lines: texts.map((text, at) => ({ at: new Date(Date.UTC(2026, 10, 28, 20, 56, at)).toISOString(), text })), readers: new Set() });

/** @param {Log} one @param {string} event @param {unknown} data */
const tell = (one, event, data) => one.readers.forEach((reader) => reader.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`));

/** A desktop that has said something, and its page. @param {Record<string, Log>} logs @param {(page: Page, one: import('../lib/double.mjs').Session) => Promise<unknown>} run */
function onPage(logs, run) {
  const { double, member } = house.reset();
  const one = double.addSession({ owner: member, name: 'Robotics', logs });
  return visitAsMember(`/#desktop/${one.id}`, async (page) => {
    await page.getByRole('heading', { name: 'Robotics', level: 1 }).waitFor();
    assert.ok(!double.asked.some((line) => line.includes('/logs')), 'nothing is asked before somebody wants to see it');
    await page.getByRole('region', { name: 'Logs' }).getByRole('button', { name: 'Show' }).click();
    await run(page, one);
  });
}

/** @param {Page} page */
const shown = (page) => page.locator('.logs-box p');

test('a log is followed until somebody scrolls up, and from then on when they want', doubleOnly(), async () => {
  const desktop = log(...Array.from({ length: 60 }, (_, at) => `line ${at}`));
  await onPage({ desktop, 'app:code': log('of VS Code') }, async (page) => {
    const box = page.locator('.logs-box');
    const isAtEnd = () => box.evaluate(({ scrollTop, clientHeight, scrollHeight }) => scrollTop + clientHeight >= scrollHeight - 8);
    await shown(page).filter({ hasText: 'line 59' }).waitFor();
    await eventually('the newest line in sight', isAtEnd);
    tell(desktop, 'lines', [{ at: null, text: 'line 60' }]);
    await shown(page).filter({ hasText: 'line 60' }).waitFor();
    await eventually('it is followed', isAtEnd);
    await look(page, 'logs');

    await box.evaluate((it) => { it.scrollTop = 0; });
    await page.getByText('Scrolled up: 0 new lines').waitFor();
    tell(desktop, 'lines', [{ at: null, text: 'line 61' }, { at: null, text: 'line 62' }]);
    await page.getByText('Scrolled up: 2 new lines').waitFor();
    assert.equal(await box.evaluate(({ scrollTop }) => scrollTop), 0, 'nothing moves below the eyes of who reads');
    await look(page, 'logs-held');
    await page.getByRole('button', { name: 'Newest' }).click();
    await shown(page).filter({ hasText: 'line 62' }).waitFor();
    await eventually('it is followed again', isAtEnd);

    await page.getByLabel('Part of the desktop').selectOption({ label: 'VS Code' });
    await shown(page).filter({ hasText: 'of VS Code' }).waitFor();
    await eventually('the other one to be let go of', () => desktop.readers.size === 0);
    await page.getByRole('region', { name: 'Logs' }).getByRole('button', { name: 'Hide' }).click();
    await box.waitFor({ state: 'detached' });
  });
});

test('what a program writes is text, whatever it is', doubleOnly(), async () => {
  const evil = ['<img src=x onerror="document.title=1">', '<script>document.title=1</script>', 'javascript:alert(1)'];
  await onPage({ desktop: log(...evil) }, async (page) => {
    await shown(page).filter({ hasText: 'javascript:alert(1)' }).waitFor();
    assert.deepEqual((await shown(page).allInnerTexts()).map((text) => text.replace(/^\S+ /, '')), evil);
    assert.equal(await page.locator('.logs-box :is(img, script, a)').count(), 0);
    await page.getByLabel('Search in the log').fill('SCRIPT');
    await page.getByText('2 of 3 lines match').waitFor();
    assert.deepEqual(await page.locator('.logs-box mark').allInnerTexts(), ['script', 'script', 'script']);
    await look(page, 'logs-search');
    await page.getByLabel('Search in the log').fill('nothing of it');
    await page.getByText('No line has “nothing of it” in it.').waitFor();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('region', { name: 'Logs' }).getByRole('link', { name: 'Download' }).click()]);
    const text = await readFile(await file.path(), 'utf8');
    assert.ok(evil.every((line) => text.includes(line)), text);
  });
});

test('an end, an empty log, a lost connection and a refusal say so', doubleOnly(), async () => {
  const desktop = log('the last words');
  await onPage({ desktop, agent: log() }, async (page, one) => {
    await shown(page).filter({ hasText: 'the last words' }).waitFor();
    tell(desktop, 'ended', {});
    await page.getByText('It has ended', { exact: true }).waitFor();
    await look(page, 'logs-ended');
    await page.getByRole('button', { name: 'Read again' }).click();
    await page.getByText('New lines appear as they are written').waitFor();
    await page.getByLabel('Part of the desktop').selectOption('agent');
    await page.getByText('Nothing has been written yet.').waitFor();
    await look(page, 'logs-empty');
    await page.getByLabel('Part of the desktop').selectOption('desktop');
    await shown(page).filter({ hasText: 'the last words' }).waitFor();
    for (const reader of desktop.readers) reader.destroy();
    await page.getByText('The connection was lost. Trying again…').waitFor();
    await page.getByText('New lines appear as they are written').waitFor();
    assert.equal(await shown(page).count(), 1, 'each line is there once');
    // The part goes, as one does when its desktop is stopped.
    Object.assign(one, { logs: {} });
    for (const reader of desktop.readers) reader.destroy();
    await page.getByText('It has ended', { exact: true }).waitFor();
    assert.equal(await shown(page).count(), 1, 'what was read stays');
    await page.getByRole('button', { name: 'Read again' }).click();
    await page.getByText('Nothing of this desktop has said anything yet.').waitFor();
    await look(page, 'logs-none');
  });
});
