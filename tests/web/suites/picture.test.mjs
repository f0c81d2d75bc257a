// @ts-check
/** The visible canvas is what the X server shows, in every pixel. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { repository } from '../lib/binaries.mjs';
import { launch, open, reachTools, shoot, stats, waitState, worker } from '../lib/browser.mjs';
import { assertExact, difference, visible } from '../lib/picture.mjs';
import { Share } from '../lib/share.mjs';
import { Stage } from '../lib/stage.mjs';
import { eventually, sleep } from '../lib/wait.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

/** Whether there is a backdrop where a bare X server is black. @param {import('../lib/stage.mjs').Image} image */
function isDrawn({ data }) {
  let bright = 0;
  for (let at = 0; at < data.length; at += 4) bright += Number(data.readUIntBE(at, 3) > 0);
  return bright > data.length / 4 * 0.9;
}

/** Ends what is left of a program and of all that it started. @param {import('node:child_process').ChildProcess} leader */
function endGroup({ pid }) {
  if (!pid) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody was left.
  }
}

/**
 * @param {{ width: number, height: number, args?: string[] }} options
 * @param {(page: import('playwright-core').Page, stage: Stage, share: Share) => Promise<void>} body
 */
async function withPage({ width, height, args = [] }, body) {
  const stage = await Stage.start(width, height);
  const share = await Share.start(stage, ...args);
  const { page, complaints, close } = await open(browser, share.url, { viewport: { width: 1366, height: 768 } });
  try {
    await waitState(page, 'live');
    await body(page, stage, share);
    assert.deepEqual(complaints, []);
    assert.equal(await share.metric('lattice_panics_total'), 0);
  } catch (error) {
    console.log(`--- log of lattice share ---\n${share.log}`);
    throw error;
  } finally {
    await close();
    await share.end();
    await stage.end();
  }
}

for (const [width, height] of [[1366, 768], [1920, 1080], [1367, 771]]) {
  test(`a scene is exact at ${width}x${height}`, () => withPage({ width, height }, async (page, stage) => {
    await assertExact(page, stage);
    await stage.say('text');
    await assertExact(page, stage);
    await stage.say('scroll', 30);
    await assertExact(page, stage);
    await stage.say('drag', 60);
    await assertExact(page, stage);
    await stage.say('gradient');
    await stage.say('noise');
    await assertExact(page, stage);
    await stage.say('play', 2000);
    await assertExact(page, stage);
    const { mismatches, undecodable } = await stats(page);
    assert.deepEqual({ mismatches, undecodable }, { mismatches: 0, undecodable: 0 });
  }));
}

test('a desktop of XFCE with xterm is exact while windows move and text scrolls', () => (
  withPage({ width: 1366, height: 768 }, async (page, stage) => {
    const home = mkdtempSync(join(tmpdir(), 'lattice-web-home-'));
    const own = Object.entries(stage.environment).filter(([name]) => !/^XDG_|^DBUS_/.test(name));
    const env = { ...Object.fromEntries(own), HOME: home, XDG_RUNTIME_DIR: home };
    const run = (/** @type {string} */ program, /** @type {string[]} */ ...args) => (
      spawn(program, args, { env, stdio: 'ignore', detached: true }));
    const session = run(join(repository, 'containers/desktop/session'));
    const terminal = run('xterm', '-geometry', '80x24+500+200', '-e', 'i=0; while :; do i=$((i+1)); ls -l /usr/bin | head -200; [ $i -ge 5 ] && sleep 1000; done');
    try {
      // The panel and the window manager draw; xterm prints its thousand lines and rests.
      await eventually('the desktop to be drawn', async () => isDrawn(await stage.image()));
      await stage.say('play', 3000);
      await assertExact(page, stage);
      await stage.say('scroll', 20);
      await stage.say('drag', 20);
      await assertExact(page, stage);
      await shoot(page, 'live-xfce');
    } finally {
      for (const child of [terminal, session]) endGroup(child);
      // What was just killed may still be about to write its last file.
      rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    }
  })));

test('it is exact after every resize', () => (
  withPage({ width: 1366, height: 768, args: ['--allow-resize'] }, async (page, stage) => {
    for (const [width, height] of [[1367, 771], [1920, 1080], [801, 601]]) {
      await stage.say('size', width, height);
      await stage.say('scroll', 5);
      await eventually('the canvas to follow', async () => (await stats(page)).desktopWidth === width);
      await assertExact(page, stage);
    }
    // The page asks for the size of its window.
    await reachTools(page);
    await page.locator('#b-view').click();
    await page.locator('[data-mode="resize"]').click();
    for (const [width, height] of [[1101, 703], [1366, 768]]) {
      await page.setViewportSize({ width, height });
      await eventually('the desktop to take the size of the window', async () => {
        const image = await stage.image();
        return image.width === width && image.height <= height && image.height > height - 100;
      });
      await stage.say('drag', 5);
      await assertExact(page, stage);
    }
  })));

test('it is exact after a reload and after the gateway was killed and restarted', () => (
  withPage({ width: 1366, height: 768 }, async (page, stage, share) => {
    await stage.say('scroll', 5);
    await page.reload();
    await waitState(page, 'live');
    await assertExact(page, stage);
    await share.kill();
    await waitState(page, 'reconnecting');
    await stage.say('noise');
    await share.restart();
    await waitState(page, 'live');
    await assertExact(page, stage);
    await stage.say('play', 500);
    await assertExact(page, stage);
  })));

test('a planted wrong pixel is found and healed', () => (
  withPage({ width: 1366, height: 768 }, async (page, stage) => {
    await stage.say('text');
    await assertExact(page, stage);
    const own = await worker(page);
    for (const [x, y] of [[0, 0], [700, 400], [1365, 767]]) {
      await eventually('it to be exact', async () => (await stats(page)).exact);
      await own.evaluate(([x, y]) => {
        const { context } = /** @type {any} */ (self).lattice;
        context.fillStyle = '#ff00fe';
        context.fillRect(x, y, 1, 1);
      }, [x, y]);
      await eventually('the wrong pixel to be noticed', async () => !(await stats(page)).exact);
      await eventually('the wrong pixel to be healed', async () => (await stats(page)).exact);
      await assertExact(page, stage);
    }
  })));

test('a wrong pixel is noticed and healed although nobody asks', () => (
  withPage({ width: 1366, height: 768 }, async (page, stage) => {
    await stage.say('text');
    const isRight = async () => difference(await visible(page), await stage.image()) === '';
    await eventually('the picture to be right', isRight);
    const own = await worker(page);
    await own.evaluate(() => {
      const { lattice } = /** @type {any} */ (self);
      const { context } = lattice;
      const put = context.putImageData.bind(context);
      lattice.plant = () => {
        context.fillStyle = '#ff00fe';
        context.fillRect(700, 400, 1, 1);
      };
      lattice.paints = 0;
      context.putImageData = (/** @type {any[]} */ ...args) => {
        put(...args);
        lattice.paints += 1;
        if (lattice.isStubborn) lattice.plant();
      };
    });
    // The worker is looked at, for who asks the page has the whole canvas proven. The page may show
    // what was painted or planted a moment later.
    const paints = () => own.evaluate(() => /** @type {any} */ (self).lattice.paints);
    const rest = () => eventually('it to rest', async () => {
      const before = await paints();
      // What was asked for, by a new page too, is over.
      await sleep(2000);
      return await paints() === before;
    });
    await rest();
    const before = await own.evaluate(() => {
      const { lattice } = /** @type {any} */ (self);
      lattice.plant();
      return lattice.paints;
    });
    await eventually('the wrong pixel to be painted over', async () => await paints() > before);
    await eventually('the wrong pixel to be healed', isRight);
    assert.equal((await stats(page)).mismatches, 1);
    await rest();
    // A pixel that stays wrong whatever is painted: the first who asks is told so.
    const healed = await own.evaluate(() => {
      const { lattice } = /** @type {any} */ (self);
      lattice.isStubborn = true;
      lattice.plant();
      return lattice.paints;
    });
    await eventually('the wrong pixel to be painted over in vain', async () => await paints() > healed);
    const { exact, mismatches } = await stats(page);
    assert.equal(exact, false);
    assert.ok(mismatches >= 2, `${mismatches}`);
    await own.evaluate(() => { /** @type {any} */ (self).lattice.isStubborn = false; });
    await eventually('it to be exact', async () => (await stats(page)).exact);
    await assertExact(page, stage);
  })));
