// @ts-check
/** What administrators see of the machine. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.mjs';
import { House, doubleOnly, fill, look, visits } from '../lib/home.mjs';
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

const GIB = 1024 ** 3;
const CHECKS = [
  { what: 'engine', text: 'Docker 20.10.24 by API 1.41', verdict: 'ok' },
  { what: 'images', text: 'there is no image lattice/dbus, which every desktop needs', verdict: 'fault', remedy: 'make images APPS=dbus' },
  { what: 'data', text: '/var/lib/lattice, with 31744 MiB free', verdict: 'ok' },
  { what: 'clock', text: 'nobody keeps the time right', verdict: 'warning', remedy: 'timedatectl set-ntp true' },
];

/** The desktops of a school in the middle of a lesson. @param {ReturnType<House['reset']>} made */
function busy(made) {
  const { double, admin, member } = made;
  fill(made);
  double.checks = CHECKS;
  const parts = [{ name: 'xorg', app: false, state: 'running' }];
  const storage = (/** @type {number} */ used, /** @type {boolean} */ full) => ({
    data: { used_bytes: used * GIB, limit_bytes: 10 * GIB, full }, home: { used_bytes: 0.3 * GIB, limit_bytes: GIB, full: false },
    apps: { used_bytes: 0.1 * GIB, limit_bytes: GIB, full: false }, enforced: true,
  });
  for (const [owner, name, memory, cpu, used] of /** @type {const} */ ([[member, 'Weather app', 1.9, 140, 9.8], [admin, 'Lesson 5: lists', 0.6, 3, 1.2]])) {
    const since = new Date().toISOString();
    Object.assign(double.addSession({ owner, name }), { usage: { since, memory_bytes: memory * GIB, cpu_percent: cpu, parts }, storage: storage(used, used > 9.5) });
  }
}

test('administrators see how busy the machine is and what is wrong with it', doubleOnly(), async () => {
  const made = house.reset();
  busy(made);
  await visit.visitAsAdmin('/#people', async (page) => {
    await page.getByRole('link', { name: 'Machine' }).click();
    await page.getByRole('heading', { name: 'Machine', level: 1 }).waitFor();
    await page.getByText('24 run', { exact: true }).waitFor();
    await page.getByText('26 people look').waitFor();
    const disk = page.getByRole('meter', { name: 'Disk' });
    assert.equal(await disk.getAttribute('aria-valuetext'), '469 GB of 500 GB');
    assert.equal(await disk.getAttribute('data-full'), 'true', 'little is left of it');
    assert.equal(await page.getByRole('meter', { name: 'Memory' }).getAttribute('data-full'), 'false');

    const checks = page.getByRole('region', { name: 'Checks' }).getByRole('listitem');
    await checks.first().waitFor();
    const lines = await checks.allInnerTexts();
    assert.deepEqual(lines.map((line) => line.match(/engine|images|data|clock/)?.[0]), ['images', 'clock', 'engine', 'data'], 'what is wrong comes first');
    await checks.filter({ hasText: 'make images APPS=dbus' }).waitFor();

    const busiest = page.getByRole('region', { name: 'Desktops by memory' }).getByRole('listitem');
    assert.match(await busiest.first().innerText(), /Weather app[\s\S]*1\.9 GB[\s\S]*140 %/);
    await page.getByRole('region', { name: 'Who keeps most' }).getByText('Almost full').waitFor();
    await look(page, 'machine');

    // It changes by itself, and what was mended is seen by looking again.
    Object.assign(made.double.figures, { viewers: 1 });
    await page.getByText('1 person looks').waitFor();
    made.double.checks = CHECKS.filter(({ verdict }) => verdict === 'ok');
    await page.getByRole('button', { name: 'Look again' }).click();
    await eventually('only what is well', async () => (await checks.count()) === 2);

    await busiest.first().getByRole('link', { name: 'Weather app' }).click();
    await page.getByRole('heading', { name: 'Weather app', level: 1 }).waitFor();
    const asked = made.double.asked.filter((line) => line.includes('machine/figures')).length;
    await page.waitForTimeout(400);
    assert.equal(made.double.asked.filter((line) => line.includes('machine/figures')).length, asked, 'nothing is followed that nobody sees');
  });
});

test('a machine that cannot be looked at says so, and an empty one is shown', doubleOnly(), async () => {
  const { double } = house.reset();
  Object.assign(double.figures, { load: null, pressure_percent: null, sessions: {}, viewers: 0, desktops_bytes: 0, disk: { total_bytes: 0, free_bytes: 0 } });
  double.faults.push({ match: /GET .*machine\/checks/, status: 500, title: 'Broken', detail: 'the engine hangs' });
  await visit.visitAsAdmin('/#machine', async (page) => {
    await page.getByText('The machine could not be looked at').waitFor();
    await page.getByText('No desktop runs at the moment.').waitFor();
    await page.getByText('0 run', { exact: true }).waitFor();
    await look(page, 'machine-empty');
    double.faults = [];
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('The machine could not be looked at').waitFor({ state: 'detached' });
  });
});

test('members have no page of the machine, whatever they type', doubleOnly(), async () => {
  house.reset();
  await visit.visitAsMember('/#machine', async (page) => {
    await page.getByRole('heading', { name: 'My desktops' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Machine' }).count(), 0);
  });
});
