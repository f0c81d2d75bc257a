// @ts-check
/**
 * One of a class, in a real browser: `node student.mjs URL NAME`, with the password in `LATTICE_PASSWORD`.
 * Signs in, says `ready`, waits for a line, clicks for a desktop, and says as JSON after how many
 * milliseconds it was live and exact, and after how many it showed panel and wallpaper.
 */

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { launch, open } from '../lib/browser.mjs';
import { signIn } from '../lib/home.mjs';
import { desktopIsThere, settled } from '../lib/school.mjs';

const [url, name] = process.argv.slice(2);
const password = process.env.LATTICE_PASSWORD;
if (!url || !name || !password) throw new Error('usage: LATTICE_PASSWORD=… node student.mjs URL NAME');

const browser = await launch();
const { page } = await open(browser, url);
await signIn(page, { name, password });
const input = createInterface({ input: process.stdin });
console.log('ready');
await once(input, 'line');
const start = performance.now();
await page.getByRole('button', { name: 'Start a desktop' }).click();
const dialog = page.getByRole('dialog');
await dialog.getByRole('radio', { name: /Plain desktop/ }).check();
await dialog.getByRole('button', { name: 'Start' }).click();
await page.locator('.desk[data-session]').first().getByRole('link', { name: /^Open / }).click();
await page.waitForURL(/\/d\//);
await settled(page);
const exact = performance.now() - start;
await desktopIsThere(page);
console.log(JSON.stringify({ exact, desktop: performance.now() - start }));
input.close();
await browser.close();
