// @ts-check
/** Several at one desktop: who drives, who asks to, and where others point. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { open, reachTools, shoot, waitState } from '../lib/browser.mjs';
import { Desk } from '../lib/desk.mjs';
import { encodeServer } from '../lib/mirror.mjs';
import { setUp } from '../lib/set.mjs';
import { eventually } from '../lib/wait.mjs';

/** @import { Role, ServerPacket } from '../../../web/protocol/types.js' */

const SIZE = { width: 1366, height: 768 };

/** @type {Awaited<ReturnType<typeof setUp>>} */
let set;

before(async () => {
  set = await setUp(SIZE);
});

after(() => set.end());

/** A viewer with a role at a desktop that the test plays. @param {Role} role */
async function enter(role) {
  const next = Desk.next(set.impostor, SIZE, 0x2f4f4f, role);
  const opened = await open(set.browser, set.page());
  const desk = await next;
  await waitState(opened.page, 'live');
  const tell = (/** @type {ServerPacket} */ packet) => desk.viewer.send(encodeServer(packet));
  return { ...opened, desk, tell };
}

test('a guest asks for control, has it, and gives it back', async () => {
  const { page, desk, tell, complaints, close } = await enter('control');
  tell({ type: 'control', controller: 7, viewers: 2 });
  await page.getByText('You are watching', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Ask for control' }).click();
  await desk.heard('takeControl');
  await page.getByText('You asked for control').waitFor();
  await page.getByRole('button', { name: 'Never mind' }).click();
  await desk.heard('releaseControl');
  await page.getByRole('button', { name: 'Ask for control' }).click();
  await eventually('to be asked again', () => desk.count('takeControl') === 2);

  tell({ type: 'control', controller: 1, viewers: 2 });
  await page.getByText('You have control').waitFor();
  await page.keyboard.type('x');
  await desk.heard('key');
  await shoot(page, 'guest-drives');
  await page.getByRole('button', { name: 'Give it back' }).click();
  await eventually('control to be given back', () => desk.count('releaseControl') === 2);
  tell({ type: 'control', controller: 7, viewers: 2 });
  await page.getByRole('button', { name: 'Ask for control' }).waitFor();
  const keys = desk.count('key');
  await page.keyboard.type('y');
  await desk.settled();
  assert.equal(desk.count('key'), keys, 'who does not drive types nothing');
  assert.deepEqual(complaints, []);
  await close();
});

test('an owner sees who is here, hears requests and hands control over', async () => {
  const { page, desk, tell, complaints, close } = await enter('own');
  const ann = { viewer: 1, role: /** @type {const} */ ('own'), asks: false, name: 'Ann' };
  const zoe = { viewer: 9, role: /** @type {const} */ ('control'), asks: true, name: '<b onload="x">Zoë</b>' };
  const hal = { viewer: 8, role: /** @type {const} */ ('assist'), asks: false, name: '' };
  tell({ type: 'control', controller: 1, viewers: 3 });
  tell({ type: 'people', people: [ann, hal, zoe] });
  const request = page.getByRole('alert').filter({ hasText: 'asks for control' });
  await request.waitFor();
  assert.match(await request.innerText(), /<b onload="x">Zoë<\/b> asks for control/, 'a name is text');
  await page.getByRole('button', { name: 'Not now' }).click();
  assert.equal(await request.isVisible(), false);

  await reachTools(page);
  await page.getByRole('button', { name: '3 people are here' }).click();
  const list = page.getByRole('dialog', { name: 'Who is here' });
  assert.deepEqual(await list.getByRole('listitem').allInnerTexts(), [
    'Ann (you)\nDrives', 'Somebody\nPoints', '<b onload="x">Zoë</b>\nAsks for control\nGive control',
  ]);
  await shoot(page, 'people');
  await list.getByRole('button', { name: /Give control to .*Zoë/ }).click();
  const given = await desk.heard('giveControl');
  assert.deepEqual(given, { type: 'giveControl', viewer: 9 });

  tell({ type: 'control', controller: 9, viewers: 3 });
  tell({ type: 'people', people: [ann, hal, { ...zoe, asks: false, name: 'Zoë' }] });
  await page.getByText('Zoë is driving').waitFor();
  await page.locator('#driver').getByRole('button', { name: 'Take control' }).click();
  await desk.heard('takeControl');
  assert.deepEqual(complaints, []);
  await close();
});

test('where an assistant points the others see a mark, for a while', async () => {
  const { page, desk, tell, complaints, close } = await enter('assist');
  tell({ type: 'control', controller: 7, viewers: 3 });
  await page.getByText('others see your pointer').waitFor();
  await page.mouse.move(400, 300);
  const point = await desk.heard('point');
  assert.deepEqual(point, { type: 'point', x: 400, y: 300 });
  assert.equal(desk.count('pointer'), 0, 'pointing moves nothing');

  tell({ type: 'pointing', viewer: 5, x: 200, y: 100 });
  const mark = page.locator('.pointing');
  await mark.waitFor();
  const box = await mark.boundingBox();
  assert.deepEqual([(box?.x ?? 0) + (box?.width ?? 0) / 2, (box?.y ?? 0) + (box?.height ?? 0) / 2].map(Math.round), [201, 101]);
  await shoot(page, 'pointing');
  await eventually('the mark to go', async () => (await mark.count()) === 0);
  assert.deepEqual(complaints, []);
  await close();
});
