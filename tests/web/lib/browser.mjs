// @ts-check
/** Chromium and the pages of a test. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { repository } from './binaries.mjs';
import { eventually } from './wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** What a browser says of itself when a server is gone or has no TLS, as some tests want it. */
const EXPECTED_NOISE = /net::ERR_|WebSocket connection to|Failed to load resource|Cross-Origin-Opener-Policy header has been ignored/;

/** What the pages' policy forbids, and scripts that ran from where none may be: never expected. */
const VIOLATION = /^CSP: |Content Security Policy|Trusted ?Type|^an alert: /i;

/** Neither root nor a user without namespaces of its own, as in many containers, gets a sandbox. */
function canSandbox() {
  return process.getuid?.() !== 0 && spawnSync('unshare', ['--user', 'true']).status === 0;
}

/** @param {string[]} args */
export function launch(args = []) {
  const sandbox = canSandbox() ? [] : ['--no-sandbox'];
  return chromium.launch({
    executablePath: process.env.LATTICE_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--force-color-profile=srgb', ...sandbox, ...args],
  });
}

/**
 * A page of its own context, and everything that it and its like complained about. What the pages' own
 * policy had to forbid fails the test at the end, whoever looks at the complaints.
 * @param {import('playwright-core').Browser} browser
 * @param {string} url
 * @param {import('playwright-core').BrowserContextOptions} options
 */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1366, height: 768 }, ...options });
  /** @type {string[]} */
  const complaints = [];
  /** @type {string[]} */
  const violations = [];
  const complain = (/** @type {string} */ text) => {
    complaints.push(text);
    if (VIOLATION.test(text)) violations.push(text);
  };
  context.on('console', (message) => {
    if (message.type() === 'error' && !EXPECTED_NOISE.test(message.text())) complain(message.text());
  });
  context.on('weberror', (each) => {
    const error = each.error();
    complain(`${error.message}\n${error.stack}`);
  });
  // Chromium gives up what is under way whenever an interface comes or goes on its machine, as some do
  // with each container here; of a page without its script nothing more comes. People press reload.
  context.on('requestfailed', (request) => {
    const why = request.failure()?.errorText ?? '';
    if (!['script', 'stylesheet'].includes(request.resourceType()) || /ABORTED/.test(why)) return;
    console.log(`${request.url()} did not come: ${why}`);
    if (/NETWORK_CHANGED/.test(why)) void request.frame().page().reload().catch(() => {});
  });
  // Nothing of ours asks so; a name that became a script would.
  context.on('dialog', (dialog) => {
    if (dialog.type() !== 'beforeunload') complain(`an alert: ${dialog.message()}`);
    void dialog.dismiss().catch(() => {});
  });
  // A violation in the page is logged as an error, too; this one says where.
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  const page = await context.newPage();
  await page.goto(url);
  const close = async () => {
    await context.close();
    assert.deepEqual(violations, [], `what the policy forbids was tried at ${url}`);
  };
  return { page, complaints, close };
}

/** @param {Page} page */
export const state = (page) => page.evaluate(() => document.documentElement.dataset.state);

/** @param {Page} page @param {string} wanted @param {number} [timeoutMs] */
export async function waitState(page, wanted, timeoutMs) {
  try {
    // A page that is just being left has no state: the next one is looked at.
    await eventually(`the state ${wanted}`, () => state(page).then((found) => found === wanted, (error) => {
      if (/context was destroyed/.test(String(error))) return false;
      throw error;
    }), timeoutMs);
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}; it is ${await state(page)}`);
  }
}

/** @param {Page} page @returns {Promise<any>} */
export const stats = (page) => page.evaluate(() => (/** @type {any} */ (window)).lattice.stats());

/** Brings the tools out and the focus to them, by the keys that the page tells people. @param {Page} page */
export async function reachTools(page) {
  await page.locator('#screen').focus();
  for (const key of ['Control', 'Alt', 'Shift']) await page.keyboard.down(key);
  for (const key of ['Shift', 'Alt', 'Control']) await page.keyboard.up(key);
  await eventually('the tools to have the focus', () => page.evaluate(() => Boolean(document.activeElement?.closest('#bar'))));
}

/** The worker that owns the canvas. @param {Page} page */
export async function worker(page) {
  return eventually('a worker', () => page.workers()[0]);
}

/** Keeps a screenshot for people to look at. @param {Page} page @param {string} name */
export async function shoot(page, name) {
  const directory = join(repository, 'tests/out/shots');
  mkdirSync(directory, { recursive: true });
  await page.screenshot({ path: join(directory, `${name}.png`), animations: 'disabled' });
}
