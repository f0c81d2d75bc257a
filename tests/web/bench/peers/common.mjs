// @ts-check
/** What the peers' adapters share: installing from packages, starting and ending, and their surface. */

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { repository } from '../../lib/binaries.mjs';
import { eventually } from '../../lib/wait.mjs';
import { descendants } from '../figures.mjs';

/** @typedef {import('../desk.mjs').Page} Page */

const HERE = import.meta.dirname;
const directory = join(repository, 'target/peers');

/** Runs a command to its end, its output among the progress. @param {string} program @param {string[]} args */
export function run(program, args) {
  process.stderr.write(`$ ${program} ${args.join(' ')}\n`);
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`${program} ${args[0]} ended with ${status ?? error}`);
}

/** Installs the Debian packages that are missing. @param {string[]} packages */
export function debian(packages) {
  const missing = packages.filter((name) => !/^Status: install ok installed/m.test(
    spawnSync('dpkg', ['-s', name], { encoding: 'utf8' }).stdout));
  if (missing.length === 0) return;
  const sudo = process.getuid?.() === 0 ? [] : ['sudo'];
  const [program = '', ...args] = [...sudo, 'apt-get', 'install', '-y', '--no-install-recommends', ...missing];
  run(program, args);
}

/** Installs the npm packages of this directory. */
export function npm() {
  const found = ['@novnc/novnc', 'xpra-html5-client'].every((name) => existsSync(join(HERE, 'node_modules', name)));
  if (!found) run('npm', ['ci', '--no-audit', '--no-fund', '--prefix', HERE]);
}

/**
 * A virtual environment with these packages; the answer is its directory of programs.
 * @param {string} name @param {string[]} packages @param {{ python?: string, options?: string[], env?: string[] }} [how]
 */
export function venv(name, packages, { python = 'python3', options = [], env = [] } = {}) {
  const home = join(directory, name);
  const bin = join(home, 'bin');
  mkdirSync(directory, { recursive: true });
  if (!existsSync(join(bin, 'pip'))) run(python, ['-m', 'venv', ...options, home]);
  const listed = execFileSync(join(bin, 'pip'), ['list', '--format=freeze'], { encoding: 'utf8' }).split('\n');
  if (!packages.every((wanted) => listed.includes(wanted))) run('env', [...env, join(bin, 'pip'), 'install', ...packages]);
  return bin;
}

/**
 * A server that runs until it is ended, with all that it starts.
 * @param {string} program @param {string[]} args @param {NodeJS.ProcessEnv} [env]
 */
export function start(program, args, env = process.env) {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const pid = child.pid ?? 0;
  const server = { log: '', ended: false, pids, end };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { server.log = (server.log + data).slice(-20_000); });
  // Who interrupts the bench leaves nothing behind.
  process.once('exit', () => child.kill('SIGKILL'));
  child.on('error', (error) => { server.log += error; });
  child.on('close', () => { server.ended = true; });
  function pids() {
    if (server.ended) throw new Error(`${program} has ended:\n${server.log}`);
    return [pid, ...descendants(pid, '')];
  }
  async function end() {
    const all = server.ended ? [] : pids();
    child.kill('SIGTERM');
    await eventually(`${program} to end`, () => server.ended || child.exitCode !== null, 5000).catch(() => {});
    for (const one of all.filter((one) => existsSync(`/proc/${one}`))) kill(one);
  }
  return server;
}

/** @param {number} pid */
function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** Resolves when somebody listens. @param {number} port @param {{ log: string, ended: boolean }} server */
export function listening(port, server) {
  const tries = () => new Promise((resolve, reject) => {
    if (server.ended) reject(new Error(`the server ended:\n${server.log}`));
    const socket = connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
    socket.on('error', () => resolve(false));
  });
  return eventually(`port ${port}`, tries, 60_000);
}

/** Bytes sent by the connections that a port has now. @param {number} port */
export async function bytesSent(port) {
  const text = execFileSync('ss', ['-Htin', 'state', 'established', `sport = :${port}`], { encoding: 'utf8' });
  return [...text.matchAll(/bytes_sent:(\d+)/g)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

/**
 * The page's own canvas as the surface that the probe reads.
 * @param {Page} page @param {string} canvas by a selector
 */
export async function canvasSurface(page, canvas) {
  await page.evaluate((canvas) => {
    const shown = /** @type {HTMLCanvasElement} */ (document.querySelector(canvas));
    const context = /** @type {CanvasRenderingContext2D} */ (shown.getContext('2d'));
    (/** @type {any} */ (globalThis)).benchSurface = {
      read: (/** @type {[number, number, number, number][]} */ areas) => areas.map((area) => context.getImageData(...area).data),
      wrap(/** @type {() => void} */ after) {
        for (const name of /** @type {const} */ (['putImageData', 'drawImage', 'fillRect'])) {
          const paint = /** @type {(...args: any[]) => void} */ (context[name]);
          context[name] = (/** @type {any[]} */ ...args) => {
            paint.apply(context, args);
            after();
          };
        }
      },
    };
  }, canvas);
  return page;
}
