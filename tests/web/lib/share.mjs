// @ts-check
/** A real `lattice share`. */

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { binary } from './binaries.mjs';
import { eventually } from './wait.mjs';

const READY_MS = 20_000;

export class Share {
  #stage;
  #args;
  #directory = mkdtempSync(join(tmpdir(), 'lattice-web-share-'));
  /** @type {import('node:child_process').ChildProcess | null} */
  #child = null;
  log = '';
  url = '';

  /** @param {import('./stage.mjs').Stage} stage @param {string[]} args */
  constructor(stage, args) {
    this.#stage = stage;
    this.#args = args;
  }

  /** @param {import('./stage.mjs').Stage} stage @param {...string} args */
  static async start(stage, ...args) {
    const share = new Share(stage, args);
    await share.#launch('127.0.0.1:0');
    return share;
  }

  get address() {
    return new URL(this.url).host;
  }

  get token() {
    return new URL(this.url).hash.slice(1);
  }

  /** The agent's process id. */
  agent() {
    return eventually('an agent', () => this.#children().find((pid) => comm(pid) === 'lattice-agent'));
  }

  /** The gateway's process id. */
  get pid() {
    return this.#child?.pid ?? 0;
  }

  /** Ends the gateway as a crash would. */
  async kill() {
    await this.#end('SIGKILL');
  }

  /** Starts it again at the same address with the same secret. */
  async restart() {
    const { url } = this;
    await this.#launch(this.address);
    if (this.url !== url) throw new Error(`the URL changed from ${url} to ${this.url}`);
  }

  /** The sum of a metric's series. @param {string} name @param {string} labels a part of them */
  async metric(name, labels = '') {
    const answer = await fetch(`http://${this.address}/metrics`, { headers: { Authorization: `Bearer ${this.token}` } });
    const lines = (await answer.text()).split('\n').filter((line) => (
      (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) && line.includes(labels)));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  async end() {
    await this.#end('SIGTERM');
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** @param {string} listen */
  async #launch(listen) {
    const token = join(this.#directory, 'token');
    const own = this.#args.includes('--listen') ? [] : ['--listen', listen];
    const args = ['share', '--display', this.#stage.display, ...own, '--token-file', token, ...this.#args];
    const env = { ...this.#stage.environment, LATTICE_AGENT: binary('lattice-agent') };
    const child = spawn(binary('lattice'), args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    child.stderr.on('data', (data) => { this.log += data; });
    this.url = await new Promise((resolve, reject) => {
      const fail = (/** @type {string} */ why) => reject(new Error(`lattice share ${why}\n${this.log}`));
      const timer = setTimeout(() => fail('did not become ready'), READY_MS);
      child.on('exit', (code) => fail(`ended with ${code}`));
      createInterface({ input: child.stdout }).on('line', (line) => {
        const url = /^Lattice is ready: (.*)$/.exec(line)?.[1];
        if (!url) return;
        clearTimeout(timer);
        resolve(url);
      });
    });
  }

  /** @param {NodeJS.Signals} signal */
  async #end(signal) {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => { child.on('exit', resolve); });
    child.kill(signal);
    await ended;
  }

  #children() {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
    return pids.filter((pid) => parent(pid) === this.pid);
  }
}

/** @param {number} pid */
function parent(pid) {
  const stat = read(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** @param {number} pid */
const comm = (pid) => read(`/proc/${pid}/comm`).trim();

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process has ended meanwhile.
    return '';
  }
}
