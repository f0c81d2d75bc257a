// @ts-check
/** One drives, the others watch; who watches may ask for control. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, shoot, stats, waitState } from '../lib/browser.mjs';
import { assertExact } from '../lib/picture.mjs';
import { Share } from '../lib/share.mjs';
import { Stage } from '../lib/stage.mjs';
import { eventually } from '../lib/wait.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

test('the second viewer watches until it takes control', async () => {
  const stage = await Stage.start(1366, 768);
  const share = await Share.start(stage);
  await stage.say('type-log');
  const first = await open(browser, share.url);
  await waitState(first.page, 'live');
  const second = await open(browser, share.url);
  await waitState(second.page, 'live');
  await eventually('both to be counted', async () => (await stats(first.page)).viewers === 2);
  const drives = async (/** @type {import('playwright-core').Page} */ page) => {
    const { controller, viewerId } = await stats(page);
    return controller === viewerId;
  };
  assert.deepEqual([await drives(first.page), await drives(second.page)], [true, false]);

  await second.page.locator('#screen').focus();
  await second.page.keyboard.type('no');
  await second.page.mouse.move(900, 600);
  await first.page.locator('#screen').focus();
  await first.page.keyboard.type('yes');
  await eventually('the driver to be heard', async () => (await stage.typed()).text === 'yes');
  await shoot(second.page, 'watching');

  const take = second.page.getByRole('button', { name: 'Take control' });
  await take.click();
  await eventually('control to change hands', async () => (await drives(second.page)) && !(await drives(first.page)));
  await stage.say('clear');
  await first.page.locator('#screen').focus();
  await first.page.keyboard.type('no');
  await second.page.locator('#screen').focus();
  await second.page.keyboard.type('now');
  await eventually('the new driver to be heard', async () => (await stage.typed()).text.includes('now'));
  assert.equal((await stage.typed()).text, 'now');
  await stage.say('play', 500);
  await assertExact(first.page, stage);
  await assertExact(second.page, stage);

  // Who drives leaves: the one who stays drives.
  await second.close();
  await eventually('the first to drive again', () => drives(first.page));
  assert.deepEqual([first.complaints, second.complaints], [[], []]);
  await first.close();
  await share.end();
  await stage.end();
});
