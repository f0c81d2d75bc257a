// @ts-check
/** A real `lattice serve` in a real browser: from the printed address to somebody else's lesson. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open } from '../lib/browser.mjs';
import { signIn } from '../lib/home.mjs';
import { FLOWS, MEMBER } from '../lib/school.mjs';
import { Serve } from '../lib/serve.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Serve} */
let serve;
/** @type {import('../lib/school.mjs').School} */
let school;

before(async () => {
  browser = await launch();
  serve = await Serve.start('--open');
  school = { browser, serve, token: await serve.admin('token'), base: serve.origin, name: 'serve' };
});

after(async () => {
  await browser.close();
  await serve.end();
});

for (const [name, flow] of FLOWS) test(name, () => flow(school));

test('no secret and nothing that was typed is in the log, however much is logged', async () => {
  const { page, close } = await open(browser, serve.origin);
  await signIn(page, MEMBER);
  for (const { value } of await page.context().cookies()) serve.secrets.add(value);
  await close();
  serve.secrets.add(MEMBER.password).add('made-by');
  assert.match(serve.log, /TRACE|DEBUG/, 'everything is logged');
  const found = [...serve.secrets].filter((secret) => secret.length < 5 || serve.log.includes(secret));
  assert.deepEqual(found, [], 'secrets in the log');
  assert.ok(serve.secrets.size >= 9, `${serve.secrets.size} secrets were looked for`);
});
