// @ts-check
/** A desktop begins with somebody's own files: of a zip file, or of a repository on a server of the school. */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, open } from '../lib/browser.mjs';
import { card, look } from '../lib/home.mjs';
import { DESKTOP_MS } from '../lib/school.mjs';
import { Serve } from '../lib/serve.mjs';
import { eventually } from '../lib/wait.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Serve} */
let serve;
/** @type {import('node:http').Server} */
let git;
/** Where the repository can be had. */
let address = '';
const work = mkdtempSync(join(tmpdir(), 'lattice-web-imports-'));

/** A zip file of stored files. @param {readonly (readonly [string, string, number?])[]} files */
function zipOf(files) {
  const [parts, directory] = [/** @type {Buffer[]} */ ([]), /** @type {Buffer[]} */ ([])];
  let at = 0;
  for (const [name, text, mode = 0o100644] of files) {
    const [path, data] = [Buffer.from(name), Buffer.from(text)];
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(1 << 11, 2);
    common.writeUInt16LE(0x21, 8);
    common.writeUInt32LE(crc(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(path.length, 22);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE((mode << 16) >>> 0, 6);
    rest.writeUInt32LE(at, 10);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, path, data]);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x03'), common, rest, path]));
    parts.push(local);
    at += local.length;
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

/** @param {Buffer} data */
function crc(data) {
  let sum = 0xffffffff;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}

/** @param {string} cwd @param {...string} args */
const run = (cwd, ...args) => execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@school.example', '-c', 'init.defaultBranch=main', ...args], { cwd, stdio: 'pipe' });

/** Serves repositories as Git's own program does, from a directory. @param {string} root */
function gitServer(root) {
  return createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://git');
    if (url.pathname.startsWith('/away/')) {
      response.writeHead(302, { Location: `${address}/info/refs?service=git-upload-pack` }).end();
      return;
    }
    if (url.pathname.startsWith('/slow/')) return;
    const child = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env.PATH, GIT_PROJECT_ROOT: root, GIT_HTTP_EXPORT_ALL: '1', REQUEST_METHOD: request.method, PATH_INFO: url.pathname,
        QUERY_STRING: url.search.slice(1), CONTENT_TYPE: request.headers['content-type'] ?? '', REMOTE_ADDR: '127.0.0.1',
        HTTP_CONTENT_ENCODING: String(request.headers['content-encoding'] ?? ''), GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*',
      },
    });
    request.pipe(child.stdin);
    child.stdin.on('error', () => {});
    /** @type {Buffer[]} */
    const said = [];
    child.stdout.on('data', (bytes) => said.push(bytes));
    child.on('close', () => {
      const all = Buffer.concat(said);
      const cut = all.indexOf('\r\n\r\n');
      const headers = Object.fromEntries(all.subarray(0, Math.max(cut, 0)).toString().split('\r\n').map((line) => line.split(/: (.*)/s).slice(0, 2)));
      response.writeHead(Number.parseInt(headers.Status ?? '200', 10), headers).end(all.subarray(cut + 4));
    });
  });
}

before(async () => {
  const made = join(work, 'made');
  mkdirSync(join(made, 'src'), { recursive: true });
  run(made, 'init', '--quiet');
  writeFileSync(join(made, 'src/main.go'), 'package main\n');
  writeFileSync(join(made, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
  symlinkSync('src/main.go', join(made, 'main.go'));
  run(made, 'add', '.');
  run(made, 'commit', '--quiet', '-m', 'All of it');
  symlinkSync('/etc/passwd', join(made, 'trap'));
  run(made, 'checkout', '--quiet', '-b', 'trap');
  run(made, 'add', '.');
  run(made, 'commit', '--quiet', '-m', 'A link that leads out');
  mkdirSync(join(work, 'served'));
  run(work, 'clone', '--quiet', '--bare', '--branch', 'main', made, 'served/shop.git');
  run(work, 'clone', '--quiet', '--bare', made, 'served/trap.git');
  git = gitServer(join(work, 'served'));
  await new Promise((resolve) => { git.listen(0, '127.0.0.1', () => resolve(undefined)); });
  const { port } = /** @type {import('node:net').AddressInfo} */ (git.address());
  address = `http://127.0.0.1:${port}/shop.git`;
  browser = await launch();
  serve = new Serve();
  serve.environment = { LATTICE_IMPORT__ALLOW: '127.0.0.1' };
  await serve.launch();
});

after(async () => {
  await browser.close();
  await serve.end();
  git.closeAllConnections();
  git.close();
  rmSync(work, { recursive: true, force: true });
});

/** Data of the only user who has any. */
function data() {
  const homes = join(serve.data, 'homes');
  const owner = readdirSync(homes).find((name) => existsSync(join(homes, name, 'data')));
  return join(homes, String(owner), 'data');
}

test('a desktop begins with a zip file, and with a repository; what cannot be is told, and changes nothing', async () => {
  const { page, complaints, close } = await open(browser, await serve.admin('url'));
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.getByRole('heading', { name: 'My desktops' }).waitFor();
  const dialog = page.getByRole('dialog', { name: 'New desktop' });
  const openIt = async (/** @type {string} */ origin) => {
    await page.getByRole('button', { name: /^(New desktop|Begin with files of your own…)$/ }).click();
    await dialog.waitFor();
    // By keyboard alone: from the name to what it begins with.
    await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowRight');
    if (origin === 'A zip file') await page.keyboard.press('ArrowRight');
    assert.ok(await dialog.getByRole('radio', { name: origin }).isChecked());
  };

  await openIt('A zip file');
  await dialog.getByLabel('Zip file', { exact: true }).setInputFiles({ name: 'shop.zip', mimeType: 'application/zip', buffer: zipOf([['../evil', 'e']]) });
  await dialog.getByRole('button', { name: 'Start' }).click();
  await dialog.getByText('has a path that leads elsewhere').waitFor({ timeout: DESKTOP_MS });
  await look(page, 'new-zip-refused');
  assert.deepEqual(readdirSync(data()), []);
  assert.equal((await serve.ask(await serve.admin('token'), 'GET', '/api/v1/sessions')).sessions.length, 0);
  const good = zipOf([['shop/read me.txt', 'words\n'], ['shop/src/run.sh', '#!/bin/sh\n', 0o100755]]);
  await dialog.getByLabel('Zip file', { exact: true }).setInputFiles({ name: 'shop.zip', mimeType: 'application/zip', buffer: good });
  await dialog.getByRole('button', { name: 'Start' }).click();
  await dialog.waitFor({ state: 'detached', timeout: DESKTOP_MS });
  await page.getByText('The files are in Data, in the folder shop').first().waitFor();
  await card(page, 'shop').waitFor();
  assert.equal(readFileSync(join(data(), 'shop/read me.txt'), 'utf8'), 'words\n');
  assert.equal(lstatSync(join(data(), 'shop/src/run.sh')).mode & 0o7777, 0o755);
  assert.equal(lstatSync(join(data(), 'shop')).uid, lstatSync(data()).uid);

  await openIt('A Git address');
  await look(page, 'new-git');
  const field = dialog.getByLabel('Address of the repository');
  for (const [url, words] of [
    ['ftp://git.example/a', 'Only addresses that begin with https:// are cloned'],
    ['https://10.0.0.1/a', 'not on the public internet'],
    ['https://169.254.169.254/latest', 'not on the public internet'],
    [address.replace('/shop.git', '/none.git'), 'There is no repository at this address'],
    [address.replace('/shop.git', '/away/shop.git'), 'leads on to another one'],
    [address.replace('/shop.git', '/trap.git'), 'leads out of its folder'],
  ]) {
    await field.fill(String(url));
    await dialog.getByRole('button', { name: 'Start' }).click();
    await dialog.getByRole('alert').filter({ hasText: String(words) }).waitFor({ timeout: DESKTOP_MS });
  }
  // One that takes long is left off, and nothing is left of it.
  await field.fill(address.replace('/shop.git', '/slow/shop.git'));
  await field.press('Enter');
  await dialog.getByText('Cloning.').waitFor();
  await look(page, 'new-cloning');
  await dialog.getByRole('button', { name: 'Stop' }).click();
  await eventually('the form to be there again', () => field.isEnabled());
  assert.deepEqual(readdirSync(data()), ['shop']);
  await field.fill(address);
  // A click is refused while the one before is still cleared away; the dialog may close at any moment.
  const start = dialog.getByRole('button', { name: 'Start', disabled: false });
  await eventually('the one before to have ended', async () => {
    if (await start.count()) await start.click({ timeout: 1000 }).catch(() => null);
    return await dialog.count() === 0;
  }, DESKTOP_MS);
  await card(page, 'shop-2').waitFor();
  const clone = join(data(), 'shop-2');
  assert.deepEqual(readdirSync(clone).sort(), ['.git', 'main.go', 'run.sh', 'src']);
  assert.equal(readFileSync(join(clone, 'main.go'), 'utf8'), 'package main\n');
  assert.deepEqual(existsSync(join(clone, '.git/hooks')), false);
  const status = execFileSync('git', ['-c', 'safe.directory=*', 'status', '--porcelain'], { cwd: clone, encoding: 'utf8' });
  assert.equal(status, '', 'it is a clone like any other');
  assert.match(serve.log, /a repository was cloned/);
  assert.deepEqual(complaints.filter((line) => !/40[0-9]/.test(String(line))), []);
  await close();
});
