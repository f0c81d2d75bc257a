// @ts-check
/** A desktop at which nobody works says so, is paused, and goes on; one that waits for a place says where it stands. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CAPABILITY, VERSION } from '../../../web/protocol/packets.js';
import { open, shoot, waitState } from '../lib/browser.mjs';
import { Desk } from '../lib/desk.mjs';
import { encodeServer } from '../lib/mirror.mjs';
import { setUp } from '../lib/set.mjs';
import { eventually } from '../lib/wait.mjs';

/** @import { ServerPacket } from '../../../web/protocol/types.js' */

const SIZE = { width: 1366, height: 768 };
const WARNED = /** @type {const} */ ({ type: 'standing', is: 'warned', idleS: 1500, leftS: 300, stops: false });
const PAUSED = /** @type {const} */ ({ type: 'standing', is: 'paused' });
const USUAL = /** @type {const} */ ({ type: 'standing', is: 'usual' });

/** @type {Awaited<ReturnType<typeof setUp>>} */
let set;

before(async () => {
  set = await setUp(SIZE);
});

after(() => set.end());

/** A viewer at a desktop that the test plays. */
async function enter() {
  const next = Desk.next(set.impostor, SIZE, 0x2f4f4f);
  const opened = await open(set.browser, set.page());
  const desk = await next;
  await waitState(opened.page, 'live');
  const tell = (/** @type {ServerPacket} */ packet) => desk.viewer.send(encodeServer(packet));
  tell({ type: 'control', controller: 1, viewers: 1 });
  return { ...opened, desk, tell };
}

test('who looks is warned, keeps going by a button, and wakes what is paused', async () => {
  const { page, desk, tell, complaints, close } = await enter();
  const chip = page.locator('[role=status] #rest');
  tell(WARNED);
  await chip.getByText('Nobody has worked here for 25 minutes. It pauses in 5 minutes; your work is kept.').waitFor();
  await shoot(page, 'rest-warned');
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'screen', 'the keyboard stays at the desktop');
  const before = desk.count('pointer');
  await page.getByRole('button', { name: 'Keep going' }).click();
  await eventually('the button to count as input', () => desk.count('pointer') > before);
  assert.equal(desk.count('button'), 0, 'nothing is clicked on the desktop');
  tell(USUAL);
  await chip.waitFor({ state: 'hidden' });

  tell(PAUSED);
  await chip.getByText('Paused. Move the mouse or press a key to go on.').waitFor();
  await shoot(page, 'rest-paused');
  assert.equal(await page.getByRole('button', { name: 'Keep going' }).count(), 0);
  await waitState(page, 'live');
  await page.keyboard.press('a');
  await desk.heard('key');
  tell(USUAL);
  await chip.waitFor({ state: 'hidden' });
  tell({ type: 'control', controller: 7, viewers: 2 });
  tell(WARNED);
  await chip.getByText('It pauses in 5 minutes').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Keep going' }).count(), 0, 'who watches has nothing to keep going');
  assert.deepEqual(complaints, []);
  await close();
});

test('a page that comes back to a paused desktop says so, and wakes it by a key', async () => {
  const { page, desk, tell, complaints, close } = await enter();
  assert.equal(desk.capabilities & CAPABILITY.RETURNING, 0, 'it was opened');
  tell(PAUSED);
  const next = new Promise((resolve) => { set.impostor.answer = (viewer) => resolve(new Desk(viewer, SIZE)); });
  desk.viewer.close(1012, '');
  const back = /** @type {Desk} */ (await next);
  await back.heard('hello');
  assert.equal(back.capabilities & CAPABILITY.RETURNING, CAPABILITY.RETURNING);
  back.viewer.send(encodeServer({ type: 'welcome', version: VERSION, viewer: 1, role: 'own', minWidth: 1, minHeight: 1, maxWidth: 1, maxHeight: 1, name: 'Desk' }));
  back.viewer.send(encodeServer(PAUSED));
  back.viewer.send(encodeServer({ type: 'control', controller: 1, viewers: 1 }));
  await page.getByRole('heading', { name: 'Paused' }).waitFor();
  await shoot(page, 'rest-back');
  await page.keyboard.press('a');
  await back.heard('key');
  back.viewer.send(encodeServer(USUAL));
  back.viewer.display('live', '');
  back.keyframe(0x2f4f4f);
  await waitState(page, 'live');
  await page.getByRole('heading', { name: 'Paused' }).waitFor({ state: 'hidden' });
  assert.deepEqual(complaints, []);
  await close();
});

test('a desktop that waits for a place says where it stands, and opens by itself', async () => {
  const next = new Promise((resolve) => { set.impostor.answer = (viewer) => resolve(new Desk(viewer, SIZE)); });
  const { page, complaints, close } = await open(set.browser, set.page());
  const desk = /** @type {Desk} */ (await next);
  await desk.heard('hello');
  const tell = (/** @type {ServerPacket} */ packet) => desk.viewer.send(encodeServer(packet));
  tell({ type: 'welcome', version: VERSION, viewer: 1, role: 'own', minWidth: 1, minHeight: 1, maxWidth: 1, maxHeight: 1, name: 'Desk' });
  tell({ type: 'standing', is: 'queued', position: 3, etaS: 120 });
  await page.getByRole('heading', { name: 'Waiting for a place' }).waitFor();
  await page.getByText('3rd in line, about 2 minutes.').waitFor();
  await shoot(page, 'rest-queued');
  tell({ type: 'standing', is: 'queued', position: 1, etaS: null });
  await page.getByText('1st in line.').waitFor();
  tell(USUAL);
  await page.getByRole('heading', { name: 'Waiting for a place' }).waitFor({ state: 'hidden' });
  desk.viewer.display('live', '');
  desk.keyframe(0x2f4f4f);
  await waitState(page, 'live');
  assert.deepEqual(complaints, []);
  await close();
});
