// @ts-check
/**
 * The guide to an app and a template of one's own, followed word by word: its files are written where it
 * says, its commands run, and what comes of it is looked at. It happens in a copy of what it changes.
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { binary, repository } from '../lib/binaries.mjs';
import { launch, open } from '../lib/browser.mjs';
import { docker } from '../lib/engine.mjs';
import { PROGRAM_MS, Seat } from '../lib/seat.mjs';
import { Serve } from '../lib/serve.mjs';

/** Where the guide has each of its pieces go. */
const FILES = /** @type {const} */ ({
  dockerfile: 'containers/geany/Dockerfile', packages: 'containers/geany/packages.list', text: 'containers/geany/first.txt',
  script: 'containers/geany/start', yaml: 'containers/templates/notes.yaml',
});
const LINE = /^(?<kind>[a-z]+)\n(?<text>[^]*)$/;

/** @type {import('playwright-core').Browser} */
let browser;
const checkout = mkdtempSync(join(tmpdir(), 'lattice-guide-'));

before(async () => { browser = await launch(); });
after(async () => {
  await browser.close();
  rmSync(checkout, { recursive: true, force: true });
  await docker('image', 'rm', '--force', 'lattice/geany').catch(() => {});
});

/** The guide's pieces in their order. */
function pieces() {
  const guide = readFileSync(join(repository, 'containers/GUIDE.md'), 'utf8');
  const fenced = guide.split('```').filter((_, at) => at % 2 === 1);
  const found = fenced.map((piece) => LINE.exec(piece)?.groups ?? {});
  return { guide, found: found.map(({ kind = '', text = '' }) => ({ kind, text })) };
}

/** Does what the guide says, in a copy of the repository. */
async function follow() {
  const { guide, found } = pieces();
  for (const name of ['containers', 'deploy', 'Makefile', 'Cargo.toml']) cpSync(join(repository, name), join(checkout, name), { recursive: true });
  mkdirSync(join(checkout, 'bin'));
  symlinkSync(binary('lattice'), join(checkout, 'bin/lattice'));
  for (const { kind, text } of found) {
    if (kind in FILES) {
      const path = FILES[/** @type {keyof typeof FILES} */ (kind)];
      assert.ok(guide.includes(`\`${path}\``), `the guide names ${path}`);
      mkdirSync(dirname(join(checkout, path)), { recursive: true });
      writeFileSync(join(checkout, path), text);
    } else if (kind === 'images') appendFileSync(join(checkout, 'containers/images.list'), text);
    else if (kind === 'sh') await run(text);
    else assert.fail(`nothing is done with ${kind}`);
  }
}

/** @param {string} script */
async function run(script) {
  const env = { ...process.env, PATH: `${join(checkout, 'bin')}:${process.env.PATH}`, BINARIES: dirname(binary('lattice')) };
  await promisify(execFile)('bash', ['-ec', script], { cwd: checkout, env, maxBuffer: 1 << 26 });
}

test('who follows the guide has an app and a template of their own', async () => {
  await follow();
  assert.match(readFileSync(join(checkout, 'containers/geany/packages.lock'), 'utf8'), /^geany \S+ [0-9a-f]{64}$/m);
  const serve = new Serve();
  serve.environment = { LATTICE_BROKER__POOL: '0', LATTICE_LOG: 'info', LATTICE_DESKTOPS__TEMPLATES: join(checkout, 'containers/templates') };
  await serve.launch('--runtime', 'docker');
  /** @type {Seat | null} */
  let seat = null;
  try {
    const { page, complaints, close } = await open(browser, await serve.admin('url'));
    await page.getByRole('button', { name: 'Not now' }).click();
    seat = await Seat.take(page, 'Notes', { run: `${serve.data}/desktops`, data: serve.data }, 'guide');
    await seat.title(/^first\.txt - .* - Geany$/);
    await seat.rest();
    await seat.shoot('desktop');
    await seat.click([683, 400]);
    await seat.press('Control+Home');
    await seat.type('By myself. ');
    await seat.save('notes/first.txt', /^By myself\. My first notes\.\n$/);
    await seat.shoot('written');
    seat.end();
    assert.deepEqual(complaints, []);
    await close();
    await serve.ask(await serve.admin('token'), 'DELETE', `/api/v1/sessions/${seat.session}`);
  } catch (error) {
    await seat?.shoot('failed');
    console.log(`windows: ${await seat?.display.titles()}\n${serve.log}`);
    throw error;
  } finally {
    await serve.end();
  }
}, { timeout: 4 * PROGRAM_MS });
