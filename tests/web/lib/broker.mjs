// @ts-check
/**
 * A broker that has no engine: desktops are what it says, and an app of theirs that declares a port is a
 * program of the test's, behind the socket where the gateway looks for it.
 */

import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

/** @typedef {{ session: string, owner: number, template: string }} Desktop */

const token = () => randomBytes(32).toString('base64url');

export class Broker {
  /** @readonly */
  directory = mkdtempSync(join(tmpdir(), 'lattice-broker-'));
  /** @type {Map<string, Desktop & { tokens: { agent: string, api: string } }>} @readonly */
  desktops = new Map();
  /** @type {Set<import('node:net').Socket>} */
  #watchers = new Set();
  /** @type {Set<import('node:net').Socket>} */
  #all = new Set();
  /** @type {{ close(): void }[]} */
  #servers = [];

  get socket() {
    return join(this.directory, 'broker.sock');
  }

  static async start() {
    const broker = new Broker();
    const server = createServer((socket) => broker.#serve(socket));
    broker.#servers.push(server);
    await new Promise((resolve) => { server.listen(broker.socket, () => resolve(undefined)); });
    return broker;
  }

  end() {
    for (const server of this.#servers) server.close();
    for (const socket of this.#all) socket.destroy();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** @param {import('node:net').Socket} socket */
  #serve(socket) {
    this.#all.add(socket);
    socket.on('close', () => { this.#all.delete(socket); this.#watchers.delete(socket); });
    socket.on('error', () => {});
    createInterface({ input: socket }).once('line', (line) => {
      const request = JSON.parse(line);
      const reply = (/** @type {unknown} */ value) => socket.end(`${JSON.stringify(value)}\n`);
      if (request === 'watch') {
        this.#watchers.add(socket);
        socket.write('"changed"\n');
        return undefined;
      }
      return reply(this.#answer(request));
    });
  }

  /** @param {any} request */
  #answer(request) {
    if (request === 'hello') return { engine: { version: '20.10', api: '1.41', missing: [], storage: null } };
    if (request === 'reserve') return { reserved: null };
    if (request === 'images') return { images: [] };
    if (request === 'volumes') return { volumes: { storage: { keeper: 'nothing', is_enforced: false, obstacle: null }, people: [] } };
    if (request === 'list') return { instances: [...this.desktops.values()].map((desktop) => this.#seen(desktop)) };
    const [[what, given] = ['', null]] = Object.entries(request);
    if (what === 'recipe') return { recipe: null };
    if (what === 'start') this.desktops.set(given.session, { session: given.session, owner: given.owner, template: given.template, tokens: { agent: token(), api: token() } });
    if (what === 'stop' || what === 'remove') this.desktops.delete(given);
    for (const watcher of this.#watchers) watcher.write('"changed"\n');
    return ['start', 'stop', 'remove', 'open', 'close', 'pause', 'resume'].includes(what) ? 'done' : { refused: { what: `this broker knows no ${what}`, remedy: null } };
  }

  /** It runs, with its app open. @param {Desktop & { tokens: object }} desktop */
  #seen({ session, owner, template, tokens }) {
    const usage = { since: null, memory: null, cpu: null, parts: [] };
    return { session, owner, template, used: null, state: { running: tokens }, apps: [{ name: 'code', is_starting: false, ended: null }], usage };
  }

  /**
   * Has a program answer at a port of a desktop's app.
   * @param {string} session @param {number} port @param {Program} program
   */
  async serveAt(session, port, program) {
    const path = join(this.directory, session, 'ports', 'code', `${port}.sock`);
    mkdirSync(dirname(path), { recursive: true });
    this.#servers.push(program.server);
    await new Promise((resolve) => { program.server.listen(path, () => resolve(undefined)); });
  }
}

/** A page that tells what it was asked, keeps cookies, and has a socket that says everything back. */
export class Program {
  /** The headers of each request. @type {import('node:http').IncomingHttpHeaders[]} @readonly */
  asked = [];
  /** @type {import('node:http').Server} @readonly */
  server;

  /** @param {string} title */
  constructor(title) {
    this.server = createHttp((request, response) => {
      this.asked.push(request.headers);
      response.setHeader('Set-Cookie', ['id=7; Path=/', 'wide=1; Domain=localhost', 'lattice-8080=forged', '__Host-Http-lattice-8080=forged; Secure; Path=/; HttpOnly']);
      if (request.url === '/worker.js') return response.setHeader('Content-Type', 'text/javascript').end('');
      if (request.url === '/cookies') return response.end(request.headers.cookie ?? '');
      return response.setHeader('Content-Type', 'text/html').end(`<!doctype html><title>${title}</title><h1>${title}</h1>`);
    });
    this.server.on('upgrade', (request, socket) => {
      this.asked.push(request.headers);
      const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      socket.on('error', () => {});
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
      // Short texts only: what a browser says is masked, what it is told is not.
      socket.on('data', (/** @type {Buffer} */ frame) => {
        if ((frame[0] ?? 0) !== 0x81) return;
        const length = (frame[1] ?? 0) & 0x7f;
        const text = frame.subarray(6, 6 + length).map((byte, at) => byte ^ (frame[2 + at % 4] ?? 0));
        socket.write(Buffer.concat([Buffer.from([0x81, length]), text]));
      });
    });
  }
}

/** The first of so many ports in a row that nobody listens on at this moment. @param {number} count */
export async function freePorts(count) {
  for (let first = 21_000 + Math.floor(Math.random() * 8000); ; first += count) {
    const free = await Promise.all(Array.from({ length: count }, (_, at) => isFree(first + at)));
    if (free.every(Boolean)) return first;
  }
}

/** @param {number} port @returns {Promise<boolean>} */
const isFree = (port) => new Promise((resolve) => {
  const server = createServer();
  server.once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
});
