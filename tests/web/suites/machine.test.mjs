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
  stocked(made);
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

    const places = await page.getByRole('region', { name: 'Places and limits' }).innerText();
    assert.match(places, /Ready ahead of time\s+1 of 2[\s\S]*Waiting for a place\s+1, the last for about 2 minutes[\s\S]*start at a time\s+16[\s\S]*kept free\s+3\.2 GB[\s\S]*one desktop\s+100/);
    const busiest = page.getByRole('region', { name: 'Desktops by memory' }).getByRole('listitem');
    assert.match(await busiest.first().innerText(), /Weather app[\s\S]*1\.9 GB[\s\S]*140 %/);
    const volumes = page.getByRole('region', { name: 'Volumes' });
    await volumes.getByText('Kept in btrfs subvolumes. Nobody can keep more than their quota.').waitFor();
    await volumes.getByText('2 people are near a quota').waitFor();
    const people = await volumes.getByRole('listitem').allInnerTexts();
    assert.match(people[0] ?? '', /Sam Weller[\s\S]*Data: 9\.8 GB of 10 GB[\s\S]*Almost full/);
    assert.match(people[1] ?? '', /Account 44, which is gone[\s\S]*Near the quota/);
    assert.equal(await volumes.getByRole('meter', { name: 'Data of Sam Weller' }).getAttribute('aria-valuenow'), '98');
    const images = page.getByRole('region', { name: 'Images' });
    await images.getByText('10 images, 5.7 GB', { exact: false }).waitFor();
    const rows = images.getByRole('listitem');
    assert.equal(await rows.count(), 8);
    await images.getByRole('button', { name: 'Show all 10' }).click();
    assert.equal(await rows.count(), 10);
    assert.match(await rows.filter({ hasText: 'lattice/desktop' }).innerText(), /every desktop is made of it/);
    assert.match(await rows.filter({ hasText: 'r.example/inkscape' }).innerText(), /Of a catalogue[\s\S]*installed: inkscape 1\.4/);
    assert.equal(await rows.filter({ hasText: 'lattice/desktop' }).getByRole('button').count(), 0, 'what is needed cannot be removed');
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

/** What it holds. @param {ReturnType<House['reset']>} made */
function stocked({ double, admin, member }) {
  const place = (/** @type {number} */ used, /** @type {number | null} */ limit) => ({
    used_bytes: used * GIB, limit_bytes: limit === null ? null : limit * GIB, full: limit !== null && used > limit * 0.95,
  });
  const person = (/** @type {{ id: string } | null} */ owner, /** @type {number} */ used) => ({
    id: owner?.id ?? '44', owner, storage: { data: place(used, 10), home: place(0.3, 1), apps: place(0.1, 1), enforced: true }, used_bytes: (used + 0.4) * GIB, near: used > 8,
  });
  double.volumes = { people: [person(member, 9.8), person(null, 8.4), person(admin, 1.2)], keeper: 'btrfs subvolumes', enforced: true, obstacle: null };
  const image = (/** @type {number} */ number, /** @type {object} */ more) => ({
    id: `sha256:${String(number).repeat(64).slice(0, 64)}`, names: ['lattice/x'], kind: 'shipped', other_release: null, size_bytes: 0.4 * GIB, made_at: new Date(Date.now() - number * 86_400_000).toISOString(),
    desktops: 0, core: false, templates: [], installed: [], kept: 'it came with Lattice', ...more,
  });
  const images = [
    image(1, { names: ['lattice/vscode-java'], size_bytes: 1.6 * GIB, templates: ['java'], desktops: 4 }),
    image(2, { names: ['lattice/vscode'], kind: 'stale', size_bytes: 0.9 * GIB, kept: null }),
    image(3, { names: ['r.example/inkscape'], kind: 'catalogue', installed: ['inkscape 1.4'], kept: 'inkscape 1.4 is installed' }),
    image(4, { names: ['r.example/an-image-with-a-rather-long-name/of-some-registry/draw', 'r.example/other'], kind: 'catalogue', kept: null }),
    image(5, { names: ['lattice/desktop'], core: true, desktops: 24, kept: 'every desktop is made of it' }),
    image(6, { names: ['lattice/xorg'], core: true, desktops: 24, kept: 'every desktop is made of it', other_release: '0.0.9' }),
    image(7, { names: ['postgres:17'], kind: 'template', templates: ['go', 'java'], kept: 'a template names it' }),
    ...[8, 9, 10].map((number) => image(number, { names: [`lattice/more-${number}`] })),
  ];
  double.stock = { images, total_bytes: 5.7 * GIB, removable_bytes: 1.3 * GIB, obstacle: null };
}

test('an administrator removes images that nothing uses, one or all of them', doubleOnly(), async () => {
  const made = house.reset();
  busy(made);
  await visit.visitAsAdmin('/#machine', async (page) => {
    const images = page.getByRole('region', { name: 'Images' });
    await images.getByRole('button', { name: 'Remove what nothing uses: 2, 1.3 GB' }).waitFor();
    await images.getByRole('button', { name: 'Remove lattice/vscode, 222222222222' }).click();
    await page.getByText('The image is removed, 922 MB').first().waitFor();
    await eventually('one row less', async () => (await images.getByText('lattice/vscode', { exact: true }).count()) === 0);
    // Somebody starts a desktop of it meanwhile.
    const left = /** @type {{ kept: string | null }} */ (made.double.stock.images.find(({ kept }) => kept === null));
    left.kept = '1 container is of it';
    await images.getByRole('button', { name: /^Remove what nothing uses: 1/ }).click();
    await images.getByText('That image stays: 1 container is of it.').waitFor();
    await look(page, 'machine-not-removed');
    left.kept = null;
    await page.getByRole('button', { name: 'Look again' }).click();
    await images.getByRole('button', { name: /^Remove what nothing uses: 1/ }).click();
    await eventually('nothing to remove', async () => (await images.getByRole('button', { name: /^Remove/ }).count()) === 0);
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'p-images', 'the button that was pressed is gone');
  });
});

test('a machine that cannot be looked at says so, and an empty one is shown', doubleOnly(), async () => {
  const { double } = house.reset();
  Object.assign(double.figures, { load: null, pressure_percent: null, sessions: {}, viewers: 0, desktops_bytes: 0, disk: { total_bytes: 0, free_bytes: 0 }, pool: null, limits: { reserve_bytes: 0.5 * GIB, starts: 1, viewers: 100, encoders: 0 } });
  double.faults.push({ match: /GET .*machine\/checks/, status: 500, title: 'Broken', detail: 'the engine hangs' });
  double.faults.push({ match: /GET .*machine\/(images|volumes)/, status: 503, title: 'Not now', detail: 'the container engine does not answer at /var/run/docker.sock; start it (systemctl start docker), or name its socket with --engine' });
  await visit.visitAsAdmin('/#machine', async (page) => {
    await page.getByText('The machine could not be looked at').waitFor();
    await page.getByText('No desktop runs at the moment.').waitFor();
    await page.getByText('0 run', { exact: true }).waitFor();
    const places = await page.getByRole('region', { name: 'Places and limits' }).innerText();
    assert.match(places, /Ready ahead of time\s+None on this server[\s\S]*Films at a time\s+None: video is off/);
    await page.getByText('The images could not be read').waitFor();
    await page.getByText('What people keep could not be read').waitFor();
    await look(page, 'machine-empty');
    double.faults = [];
    await page.getByRole('region', { name: 'Checks' }).getByRole('button', { name: 'Try again' }).click();
    await page.getByText('The machine could not be looked at').waitFor({ state: 'detached' });
    // Where desktops are sandboxes there are none, and it says so.
    double.stock = { images: [], total_bytes: 0, removable_bytes: 0, obstacle: 'desktops in sandboxes are made of this machine\'s own programs, and there are no images' };
    const free = (/** @type {number} */ used) => ({ used_bytes: used, limit_bytes: null, full: false });
    const storage = { data: free(3 * GIB), home: free(0.2 * GIB), apps: free(0), enforced: false };
    double.volumes = { people: [{ id: '1', owner: null, storage, used_bytes: 3.2 * GIB, near: false }], keeper: 'plain directories', enforced: false, obstacle: null };
    await page.getByRole('button', { name: 'Look again' }).click();
    await page.getByText('and there are no images.').waitFor();
    await page.getByText('Kept in plain directories, as much as there is room for.').waitFor();
    await page.getByText(/^Data: 3(\.0)? G/).waitFor();
    await look(page, 'machine-sandboxes');
  });
});

const ago = (/** @type {number} */ hours) => new Date(Date.now() - hours * 3_600_000).toISOString();
const WELL = {
  configured: true, made_here: true, repository: { kind: 's3', place: 's3://school/lattice' }, every: '24h', drill_every: '7d',
  next_at: ago(-21), next_drill_at: ago(-100), now: null, progress: null, error: null, tried_at: ago(3),
  last: { id: 'ab', at: ago(3), seconds: 74.2, people: 26, files: 31_204, bytes: 41.2 * GIB, added_bytes: 0.4 * GIB, left_out: 0, moving: 0 },
  drill: { at: ago(50), seconds: 640, ok: true, error: null, files: 31_190, bytes: 41.1 * GIB },
};

const NOTHING = { configured: false, repository: null, every: null, drill_every: null, next_at: null, next_drill_at: null, now: null, progress: null, error: null, tried_at: null, last: null, drill: null };

test('backups are told of, begun, watched, and their failures come with what to do', doubleOnly(), async () => {
  const made = house.reset();
  busy(made);
  Object.assign(made.double.backup, WELL);
  await visit.visitAsAdmin('/#machine', async (page) => {
    const panel = page.getByRole('region', { name: 'Backups' });
    await panel.getByText('3 hours ago').waitFor();
    await panel.getByText('26 people, 31,204 files, 41.2 GB; 410 MB were new. It took 1 minute.').waitFor();
    await panel.getByText('2 days ago').waitFor();
    await panel.getByText('31,190 files, 41.1 GB, had the hashes').waitFor();
    await panel.getByText('In 21 hours').waitFor();
    await panel.getByText('s3://school/lattice').waitFor();
    await look(page, 'backups');

    await panel.getByRole('button', { name: 'Back up now' }).click();
    await panel.getByText('Making a backup, for less than a minute').waitFor();
    assert.equal(await panel.getByRole('button', { name: 'Run a drill' }).isDisabled(), true);
    Object.assign(made.double.backup, { progress: { since: ago(0.1), done: 9, of: 27 } });
    await panel.getByText('9 of 27 done, for 6 minutes').waitFor();
    assert.equal(await panel.getByRole('progressbar').getAttribute('max'), '27');
    await look(page, 'backups-making');

    const drill = { ...WELL.drill, at: ago(200), ok: false, error: '3 of what was restored is not as the backup says; restore into a disk that is well' };
    Object.assign(made.double.backup, { now: null, progress: null, drill, tried_at: ago(0), error: 'the repository s3://school/lattice: vault.example cannot be reached (Connection refused); see whether it is up, and whether a firewall is between' });
    await panel.getByText('The last backup failed just now').waitFor();
    await panel.getByText('See whether it is up, and whether a firewall is between', { exact: true }).waitFor();
    await panel.getByText('The last drill failed 8 days ago').waitFor();
    await look(page, 'backups-failed');

    made.double.faults.push({ match: /POST .*backup/, status: 409, title: 'Not possible now', detail: 'a backup or a drill is under way already; wait until that is done' });
    await panel.getByRole('button', { name: 'Run a drill' }).click();
    await panel.getByRole('alert').getByText('under way already').waitFor();
  });
});

test('where no backup is set up, the page says how, and who makes them where it is not this server', doubleOnly(), async () => {
  const { double } = house.reset();
  double.faults = [];
  Object.assign(double.backup, NOTHING);
  await visit.visitAsAdmin('/#machine', async (page) => {
    const panel = page.getByRole('region', { name: 'Backups' });
    await panel.getByText('No backup is set up.').waitFor();
    await panel.getByText('password_file = ').waitFor();
    assert.equal(await panel.getByRole('button').count(), 0);
    await look(page, 'backups-none');
    Object.assign(double.backup, { ...WELL, made_here: false, every: null, next_at: null, last: null, drill: null });
    await panel.getByText('By root’s timer').waitFor();
    await panel.getByText('Nobody has seen whether a backup can be put back.').waitFor();
    assert.equal(await panel.getByRole('button').count(), 0);
  });
});

test('a build that somebody runs on the machine is watched, and what it made is seen when it ends', doubleOnly(), async () => {
  const made = house.reset();
  busy(made);
  const { double } = made;
  const build = { image: 'lattice/vscode-golang', state: 'running', number: 3, of: 12, step: 4, steps: 9, seconds: 35 };
  await visit.visitAsAdmin('/#machine', async (page) => {
    const images = page.getByRole('region', { name: 'Images' });
    const bar = images.getByRole('progressbar');
    await images.getByText('10 images, 5.7 GB', { exact: false }).waitFor();
    assert.equal(await bar.count(), 0);
    double.tellBuilds([build], 0);
    await images.getByText('Building lattice/vscode-golang, 3 of 12').waitFor();
    await images.getByText('step 4 of 9, 35 s').waitFor();
    await images.scrollIntoViewIfNeeded();
    await look(page, 'machine-build');
    const place = await images.boundingBox();
    double.tellBuilds([{ ...build, step: 5, seconds: 71 }], 0);
    await images.getByText('step 5 of 9, 1 min 11 s').waitFor();
    assert.equal((await images.boundingBox())?.height, place?.height, 'nothing moves as it goes on');
    assert.equal(Number(await bar.getAttribute('value')).toFixed(2), '2.44');
    assert.equal(await bar.getAttribute('max'), '12');

    // It comes to nothing, and somebody mends it.
    double.tellBuilds([{ ...build, state: 'failed', seconds: 300 }], 1);
    await images.getByText('lattice/vscode-golang could not be built, 5 minutes ago.').waitFor();
    await images.getByText('target/images/vscode-golang.log').waitFor();
    assert.equal(await bar.count(), 0);
    await look(page, 'machine-build-failed');
    double.checks = CHECKS.filter(({ verdict }) => verdict === 'ok');
    double.stock = { ...double.stock, images: double.stock.images.slice(1), total_bytes: 4.1 * GIB };
    double.tellBuilds([], 2);
    await images.getByText('9 images, 4.1 GB', { exact: false }).waitFor();
    const checks = page.getByRole('region', { name: 'Checks' }).getByRole('listitem');
    await eventually('only what is well', async () => (await checks.count()) === 2);
    assert.equal(await images.getByText('could not be built').count(), 0);
  });
});

test('members have no page of the machine, whatever they type', doubleOnly(), async () => {
  house.reset();
  await visit.visitAsMember('/#machine', async (page) => {
    await page.getByRole('heading', { name: 'My desktops' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Machine' }).count(), 0);
  });
});
