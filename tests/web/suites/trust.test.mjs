// @ts-check
/** The page that tells how a device is made to trust the server's own certificate authority. */

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, open, shoot } from '../lib/browser.mjs';
import { Share } from '../lib/share.mjs';
import { Stage } from '../lib/stage.mjs';

const directory = mkdtempSync(join(tmpdir(), 'lattice-web-trust-'));
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Stage} */
let stage;
/** @type {Share} */
let share;
before(async () => {
  browser = await launch();
  stage = await Stage.start(640, 480);
  share = await Share.start(stage, '--tls', 'on', '--tls-directory', directory);
});
after(async () => {
  await browser.close();
  await share.end();
  await stage.end();
  rmSync(directory, { recursive: true, force: true });
});

/** @param {import('playwright-core').BrowserContextOptions} options */
const openPage = (options) => open(browser, `https://${share.address}/ca`, { ignoreHTTPSErrors: true, ...options });

/** The status with which the server answers one who trusts this authority alone. @param {string | undefined} ca */
function statusFor(ca) {
  return new Promise((resolve, reject) => {
    get(`https://${share.address}/healthz`, { ca, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).on('error', reject);
  });
}

test('the certificate that it hands out is the one that makes the server trusted', async () => {
  const { page, complaints, close } = await openPage({});
  const [download] = await Promise.all([
    page.waitForEvent('download'), page.getByRole('link', { name: 'Download the certificate' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'lattice-ca.crt');
  const certificate = readFileSync(await download.path(), 'utf8');
  const shown = (await page.locator('.fingerprint code').textContent())?.trim();
  assert.equal(shown, new X509Certificate(certificate).fingerprint256);
  assert.ok(share.log.includes(shown), 'the server printed the same fingerprint');
  await assert.rejects(statusFor(undefined));
  assert.equal(await statusFor(certificate), 200);
  assert.deepEqual(complaints, []);
  await close();
});

test('it fits a laptop and a phone, by day and by night', async () => {
  for (const [name, options] of /** @type {[string, import('playwright-core').BrowserContextOptions][]} */ ([
    ['ca', {}],
    ['ca-dark', { colorScheme: 'dark' }],
    ['ca-phone', { viewport: { width: 360, height: 740 } }],
  ])) {
    const { page, complaints, close } = await openPage(options);
    const code = await page.locator('img').evaluate((image) => {
      const { complete, naturalWidth } = /** @type {HTMLImageElement} */ (image);
      return complete && naturalWidth > 0;
    });
    assert.ok(code, 'the code is there');
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${name} is ${over} pixels too wide`);
    await shoot(page, name);
    await page.evaluate(() => { for (const each of document.querySelectorAll('details')) each.open = true; });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${name} unfolded is ${wide} pixels too wide`);
    await shoot(page, `${name}-unfolded`);
    await page.evaluate(() => scrollTo(0, 560));
    await shoot(page, `${name}-below`);
    assert.deepEqual(complaints, []);
    await close();
  }
});
