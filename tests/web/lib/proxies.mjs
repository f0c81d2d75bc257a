// @ts-check
/** Real reverse proxies, with the configuration in `deploy/proxies`, on ports of their own. */

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { repository } from './binaries.mjs';
import { eventually } from './wait.mjs';

/** @typedef {'nginx' | 'caddy' | 'haproxy'} Kind */
/** @typedef {{ directory: string, own: number, lattice: number }} Place where a proxy keeps its files, its port, and Lattice's */

/** Of the files in `deploy/proxies`. */
export const HOST = 'desk.example';
export const HOST_WITH_PATH = 'school.example';

/** A port that nobody has at the moment. @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** The file of `deploy/proxies`, with this test's ports. @param {string} name @param {Place} place */
function example(name, { own, lattice }) {
  const text = readFileSync(join(repository, 'deploy/proxies', name), 'utf8');
  for (const port of [/127\.0\.0\.1:8080\b/, ...(name === 'Caddyfile' ? [] : [/\b443\b/])]) {
    if (!port.test(text)) throw new Error(`deploy/proxies/${name} does not name ${port}`);
  }
  return text.replace(/127\.0\.0\.1:8080\b/g, `127.0.0.1:${lattice}`)
    .replace(/listen 443\b/g, `listen 127.0.0.1:${own}`).replace(/bind :443\b/g, `bind 127.0.0.1:${own}`);
}

/** @type {Record<Kind, (place: Place) => string[]>} */
const COMMANDS = {
  nginx(place) {
    const { directory } = place;
    certificates(directory);
    const site = example('nginx.conf', place).replaceAll('/etc/ssl/lattice/', `${directory}/`);
    const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${directory}/${kind};`);
    const file = write(directory, 'nginx.conf', `
      pid ${directory}/pid; error_log stderr; daemon off; worker_processes 1; ${process.getuid?.() === 0 ? 'user root;' : ''}
      events {}
      http { access_log off; ${scratch.join(' ')}\n${site} }`);
    return ['nginx', '-e', 'stderr', '-p', directory, '-c', file];
  },
  caddy(place) {
    const { directory, own } = place;
    // Its own authority makes the certificates, and no device is told to trust it.
    const options = `{\n admin off\n local_certs\n skip_install_trust\n auto_https disable_redirects\n https_port ${own}\n`
      + ` storage file_system ${directory}/storage\n}\n`;
    const file = write(directory, 'Caddyfile', options + example('Caddyfile', place));
    return ['caddy', 'run', '--adapter', 'caddyfile', '--config', file];
  },
  haproxy(place) {
    const { directory } = place;
    const both = certificates(directory);
    mkdirSync(join(directory, 'crt'));
    write(directory, 'crt/both.pem', both);
    const config = example('haproxy.cfg', place).replaceAll('/etc/haproxy/lattice/', `${directory}/crt/`);
    return ['haproxy', '-db', '-f', write(directory, 'haproxy.cfg', config)];
  },
};

/** Makes one certificate for both hosts under the names of both; returns it with its key. @param {string} directory */
function certificates(directory) {
  const at = (/** @type {string} */ name) => join(directory, name);
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=test',
    '-addext', `subjectAltName=DNS:${HOST},DNS:${HOST_WITH_PATH}`, '-keyout', at('key'), '-out', at('pem'),
  ], { stdio: 'pipe' });
  const [certificate, key] = [readFileSync(at('pem'), 'utf8'), readFileSync(at('key'), 'utf8')];
  for (const host of [HOST, HOST_WITH_PATH]) {
    write(directory, `${host}.pem`, certificate);
    write(directory, `${host}.key`, key);
  }
  return certificate + key;
}

/** @param {string} directory @param {string} name @param {string} text */
function write(directory, name, text) {
  const path = join(directory, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

export class Proxy {
  #directory;
  #child;
  #log = '';
  /** @readonly */
  port;

  /** @param {Kind} kind @param {Place} place */
  constructor(kind, place) {
    this.#directory = place.directory;
    this.port = place.own;
    const [program = kind, ...args] = COMMANDS[kind](place);
    const env = { ...process.env, HOME: place.directory, XDG_DATA_HOME: place.directory, XDG_CONFIG_HOME: place.directory,
      // Debian puts servers where only root's shell looks.
      PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
    this.#child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.on('error', (error) => { this.#log += error.message; });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on('data', (data) => { this.#log += data; });
  }

  /** Starts one before the Lattice on this port. @param {Kind} kind @param {number} own @param {number} lattice */
  static async start(kind, own, lattice) {
    const proxy = new Proxy(kind, { directory: mkdtempSync(join(tmpdir(), `lattice-${kind}-`)), own, lattice });
    try {
      // For each host: Caddy makes its certificates while it already listens.
      for (const host of [HOST, HOST_WITH_PATH]) {
        await eventually(`${kind} to answer for ${host}`, () => {
          if (proxy.#hasEnded()) throw new Error(`${kind} ended`);
          return answers(own, host);
        });
      }
    } catch (error) {
      await proxy.end();
      throw new Error(`${error instanceof Error ? error.message : error}\n${proxy.#log}`);
    }
    return proxy;
  }

  #hasEnded() {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async end() {
    if (!this.#hasEnded()) {
      const ended = new Promise((resolve) => { this.#child.on('exit', resolve); });
      this.#child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** @param {number} port @param {string} servername @returns {Promise<boolean>} */
function answers(port, servername) {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false });
    socket.on('secureConnect', () => { socket.destroy(); resolve(true); });
    socket.on('error', () => resolve(false));
  });
}
