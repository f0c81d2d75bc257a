// @ts-check
/** A real `lattice serve`, in a directory of its own. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { binary, repository } from './binaries.mjs';
import { patience } from './wait.mjs';

const READY_MS = 20_000;

export class Serve {
  /** Its directory for data. @readonly */
  data = mkdtempSync(join(tmpdir(), 'lattice-web-serve-'));
  /** @type {import('node:child_process').ChildProcess | null} */
  #child = null;
  #listen = '127.0.0.1:0';
  /** What else it is started with. @type {string[]} */
  #args = [];
  /** Where its programs are, if not where all tests have them. */
  programs = '';
  /** What else it has in its environment. @type {Record<string, string>} */
  environment = {};
  log = '';
  /** What it printed last. */
  url = '';
  /** What nobody may find in the log. @type {Set<string>} @readonly */
  secrets = new Set();

  /** On a port that is free. @param {...string} args */
  static start(...args) {
    return Serve.at('127.0.0.1:0', ...args);
  }

  /** @param {string} listen where @param {...string} args */
  static async at(listen, ...args) {
    const serve = new Serve();
    serve.#listen = listen;
    await serve.launch(...args);
    return serve;
  }

  get address() {
    return new URL(this.url).host;
  }

  /** Where it listens, whatever it is published as. */
  get direct() {
    return `http://${this.#listen}`;
  }

  get origin() {
    return new URL(this.url).origin;
  }

  /** What `lattice admin` prints. @param {'url' | 'token'} what @param {...string} args */
  async admin(what, ...args) {
    const printed = await this.#run('admin', what, ...args, '--data-dir', this.data);
    this.secrets.add(printed.split('#').at(-1) ?? printed);
    return printed;
  }

  /** An answer of the API. @param {string} token @param {string} method @param {string} path @param {object} [body] */
  async ask(token, method, path, body) {
    const response = await fetch(`${this.direct}${path}`, {
      method,
      headers: { Authorization: `Bearer ${token}`, ...(body && { 'Content-Type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  /** Ends it as a crash would. */
  kill() {
    return this.#end('SIGKILL');
  }

  /** Ends it and everything that it started. */
  async end() {
    if (!this.#child) await this.launch();
    await this.#end('SIGTERM');
    rmSync(this.data, { recursive: true, force: true });
  }

  /** Starts it where it was before, and as it was unless it is told otherwise. @param {...string} args */
  async launch(...args) {
    if (args.length > 0) this.#args = args;
    const program = (/** @type {string} */ name) => (this.programs ? join(this.programs, name) : binary(name));
    const runtime = this.#args.includes('--runtime') ? [] : ['--runtime', 'process'];
    const child = spawn(program('lattice'), ['serve', '--listen', this.#listen, '--data-dir', this.data, ...runtime, '--end-desktops', ...this.#args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env, LATTICE_AGENT: program('lattice-agent'), LATTICE_CONTAINERS: join(repository, 'containers'), LATTICE_LOG: 'trace', ...this.environment,
      },
    });
    this.#child = child;
    child.stderr.on('data', (text) => { this.log += text; });
    /** @type {string} */
    const line = await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`lattice serve printed no address:\n${this.log}`)), patience(READY_MS));
      createInterface({ input: child.stdout }).once('line', (text) => { clearTimeout(late); resolve(text); });
      child.once('exit', (code) => { clearTimeout(late); reject(new Error(`lattice serve ended with ${code}:\n${this.log}`)); });
    });
    const url = /^Lattice is ready: (\S+)$/.exec(line)?.[1];
    if (!url) throw new Error(`this is no address: ${line}`);
    this.url = url;
    const { hash } = new URL(url);
    if (hash !== '') this.secrets.add(hash.slice(1));
    if (this.#listen.endsWith(':0')) this.#listen = new URL(url).host;
  }

  /** @param {...string} args @returns {Promise<string>} */
  #run(...args) {
    return new Promise((resolve, reject) => {
      const child = spawn(binary('lattice'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
      let [out, err] = ['', ''];
      child.stdout.on('data', (text) => { out += text; });
      child.stderr.on('data', (text) => { err += text; });
      child.once('exit', (code) => (code === 0 ? resolve(out.trim()) : reject(new Error(`${args}: ${code} ${err}`))));
    });
  }

  /** @param {NodeJS.Signals} signal */
  async #end(signal) {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill(signal);
    await ended;
  }
}
