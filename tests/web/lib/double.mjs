// @ts-check
/**
 * A small double of `lattice serve` for tests of the pages: it serves `web/` with the gateway's own
 * headers and has the API in memory. Faults are planted by `fault`.
 */

import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { repository } from './binaries.mjs';
import { routes } from './double-api.mjs';
import { Shop, catalogueRoutes } from './double-catalogue.mjs';

/** @typedef {import('node:http').IncomingMessage} Request */
/** @typedef {import('node:http').ServerResponse} Response */

/**
 * @typedef {{ id: string, name: string, display_name: string, role: 'member' | 'admin', password: string | null, disabled: boolean }} User
 * @typedef {{ id: string, name: string, template: string, owner: User, state: string, reason: string, created_at: string, grants: Map<string, string>, watchers: any[], links: Link[],
 *   queue?: { position: number, eta_s: number | null } | null, picture?: number | null, png?: Buffer, usage?: object | null, storage?: object | null,
 *   apps?: { name: string, title: string, icon: string, state: string, reason?: string, ports?: number[] }[], left_out?: { app: string, why: string }[], thrown?: string,
 *   versions?: Version[], made_of?: number,
 *   logs?: Record<string, Log>, pages?: { id: string, port: number, uses: number, created_at: string, expires_at: string, url: string }[] }} Session
 * @typedef {{ lines: { at: string | null, text: string }[], readers: Set<Response> }} Log
 * @typedef {{ number: number, author: string | null, created_at: string, note: string, text: string }} Version
 * @typedef {{ id: string, token: string, role: string, expires_at: string, max_uses: number | null, uses: number, created_at: string, revoked: boolean }} Link
 * @typedef {{ user?: User, guest?: { session: string, role: string } }} Login
 * @typedef {{ match: RegExp, status?: number, retryAfter?: number, title?: string, detail?: string, hold?: Promise<void>, cut?: boolean }} Fault
 */

const TYPES = /** @type {Record<string, string>} */ ({
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml',
});

const web = join(repository, 'web');
const GIB = 1024 ** 3;
const START_MS = 120;

/** What the gateway sends with every answer, read from its own source: it shall not differ. */
function gatewayHeaders() {
  const source = readFileSync(join(repository, 'server/gateway/src/http/mod.rs'), 'utf8').replace(/\\\n\s*/g, '');
  const policy = /CONTENT_SECURITY_POLICY,\s*"([^"]+)"/.exec(source)?.[1];
  if (!policy?.includes('require-trusted-types-for')) throw new Error('the gateway’s source has no policy where it was');
  return {
    'content-security-policy': policy, 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp', 'cross-origin-resource-policy': 'same-origin',
  };
}

const HEADERS = gatewayHeaders();

/** A refusal: RFC 9457. */
export class Refusal extends Error {
  /** @param {number} status @param {string} title @param {string} [detail] @param {number} [retryAfter] */
  constructor(status, title, detail = '', retryAfter = 0) {
    super(title);
    Object.assign(this, { status, title, detail, retryAfter });
  }
}

export class Double {
  #server;
  #sockets = new Set();
  #port = 0;
  /** @type {Set<{ response: Response, login: Login, isAll: boolean }>} */
  #listeners = new Set();
  /** @type {Map<string, Login>} */
  logins = new Map();
  /** @type {User[]} */
  users = [];
  /** @type {Session[]} */
  sessions = [];
  /** One-time sign-ins. @type {Map<string, { user: User, state: 'good' | 'used' | 'expired' }>} */
  enters = new Map();
  /** Whether owners may change what theirs are made of. */
  ownersEdit = false;
  /** @type {{ id: string, title: string, summary: string, readme?: string, missing_images?: string[], apps?: { name: string, ports?: number[] }[] }[]} */
  templates = [{ id: 'desktop', title: 'Plain desktop', summary: 'Files, a terminal, a browser.' }];
  shop = new Shop();
  /** @type {Fault[]} */
  faults = [];
  /** Where links to pages lead. */
  entrance = '';
  /** How its machine is. @type {object} */
  figures = {
    version: '0.1.0', up_s: 93_000, cores: 8, load: [2.31, 1.9, 1.2], pressure_percent: 4.2,
    memory: { total_bytes: 32 * GIB, free_bytes: 11.5 * GIB }, disk: { total_bytes: 500 * GIB, free_bytes: 31 * GIB },
    sessions: { running: 24, idle: 3, queued: 2, stopped: 9, failed: 1 }, viewers: 26, desktops_bytes: 14.2 * GIB,
    pool: { ready: 1, wanted: 2 }, builds: [], builds_revision: 0, limits: { reserve_bytes: 3.2 * GIB, starts: 16, viewers: 100, encoders: 8 },
  };
  /** How its backups are doing. @type {Record<string, unknown>} */
  backup = {
    configured: false, made_here: true, repository: null, every: null, drill_every: null, next_at: null, next_drill_at: null,
    now: null, progress: null, error: null, tried_at: null, last: null, drill: null,
  };
  /** What is right or wrong with it. @type {object[]} */
  checks = [];
  /** The images that its desktops are made of. @type {{ images: { id: string, size_bytes: number, kept: string | null }[], total_bytes: number, removable_bytes: number, obstacle: string | null }} */
  stock = { images: [], total_bytes: 0, removable_bytes: 0, obstacle: null };
  /** What everybody keeps. @type {object} */
  volumes = { people: [], keeper: 'plain directories', enforced: false, obstacle: null };
  wrongTries = 0;
  /** What was asked for, for tests to look at. @type {string[]} */
  asked = [];
  /** How long a desktop takes to start. */
  startMs = START_MS;

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start() {
    const double = new Double();
    await double.listen();
    return double;
  }

  /** Again at the same address, after `away`. */
  listen() {
    return new Promise((resolve) => {
      if (this.#server.listening) return resolve(undefined);
      this.#server.listen(this.#port, '127.0.0.1', () => {
        const address = this.#server.address();
        if (address && typeof address === 'object') this.#port = address.port;
        resolve(undefined);
      });
    });
  }

  /** Nothing answers any more. */
  away() {
    return new Promise((resolve) => {
      this.#server.close(resolve);
      for (const socket of this.#sockets) socket.destroy();
      this.#listeners.clear();
    });
  }

  get isThere() {
    return this.#server.listening;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  get cookie() {
    return `__Host-Http-lattice-${this.#port}`;
  }

  // What tests put in ---------------------------------------------------------------------------

  /** @param {Partial<User> & { name: string }} user @returns {User} */
  addUser(user) {
    const made = /** @type {User} */ ({ id: String(this.users.length + 1), display_name: '', role: 'member', password: null, disabled: false, ...user });
    this.users.push(made);
    return made;
  }

  /** @param {Partial<Session> & { owner: User, name: string }} session @returns {Session} */
  addSession(session) {
    const made = /** @type {Session} */ ({
      id: secret(10).replace(/[^a-z2-7]/gi, 'a').toLowerCase().slice(0, 16).padEnd(16, 'a'), template: 'desktop', state: 'running', reason: '',
      created_at: new Date(Date.now() - this.sessions.length * 1000).toISOString(), grants: new Map(), watchers: [], links: [], ...session,
    });
    this.sessions.push(made);
    this.tell(made);
    return made;
  }

  /** @param {User} user @param {'good' | 'used' | 'expired'} [state] */
  addEnter(user, state = 'good') {
    const token = secret();
    this.enters.set(token, { user, state });
    return `${this.url}/enter#${token}`;
  }

  /** @param {Session} session @param {Partial<Link>} [link] */
  addLink(session, link = {}) {
    const made = {
      id: secret(6), token: secret(), role: 'view', expires_at: new Date(Date.now() + 86_400_000).toISOString(), max_uses: null, uses: 0,
      created_at: new Date().toISOString(), revoked: false, ...link,
    };
    session.links.push(made);
    return { ...made, url: `${this.url}/s/${made.token}` };
  }

  /** Answers until the end of the test, or of `fault.hold`, with what is planted. @param {Fault} fault */
  fault(fault) {
    this.faults.push(fault);
    return () => { this.faults = this.faults.filter((other) => other !== fault); };
  }

  // What the API does ---------------------------------------------------------------------------

  /** @param {Session} session @param {string} state @param {string} [reason] */
  become(session, state, reason = '') {
    Object.assign(session, { state, reason });
    this.tell(session);
  }

  /** @param {Session} session */
  startSoon(session) {
    this.become(session, 'starting');
    setTimeout(() => { if (session.state === 'starting') this.become(session, 'running'); }, this.startMs);
  }

  /** What somebody is to a session, or nothing. @param {Session} session @param {Login} login */
  standing(session, login) {
    if (login.user === session.owner) return 'owner';
    if (login.user?.role === 'admin') return 'admin';
    const granted = session.grants.get(login.user?.id ?? '');
    if (granted) return granted;
    return login.guest?.session === session.id ? login.guest.role : null;
  }

  /** @param {Session} session @param {Login} login */
  seen(session, login) {
    const { id, name, template, owner, state, reason, created_at, queue = null, picture = null, usage = null, storage = null, apps = [], left_out, thrown, versions } = session;
    const role = this.standing(session, login);
    const isMaster = role === 'owner' || role === 'admin';
    return {
      id, name, template, owner: { id: owner.id, name: owner.name, display_name: owner.display_name }, state, reason, created_at,
      url: `/d/${id}`, role, viewers: session.watchers.length, queue, can_pause: true, picture,
      template_version: versions?.at(-1)?.number ?? 0, template_current: session.made_of === undefined ? null : session.made_of === (versions?.at(-1)?.number ?? 0),
      ...(isMaster && { usage: state === 'running' || state === 'idle' ? usage : null, storage, apps, ...(left_out && { left_out }) }),
      ...(thrown && { discarded: { until: new Date(Date.parse(thrown) + 7 * 86_400_000).toISOString(), programs_until: new Date(Date.parse(thrown) + 600_000).toISOString() } }),
    };
  }

  /** It shows this from now on. @param {Session} session @param {Buffer} png */
  show(session, png) {
    Object.assign(session, { png, picture: (session.picture ?? 0) + 1 });
    this.tell(session);
  }

  /** @param {Session} session */
  tell(session) {
    if (session.thrown) return;
    for (const { response, login, isAll } of this.#listeners) {
      const standing = this.standing(session, login);
      if (standing && (isAll || standing !== 'admin')) event(response, 'session', this.seen(session, login));
    }
  }

  /** These are being built now, and one has ended where the revision is another. @param {object[]} builds @param {number} revision */
  tellBuilds(builds, revision) {
    Object.assign(this.figures, { builds, builds_revision: revision });
    for (const { response } of this.#listeners) event(response, 'builds', { revision, builds });
  }

  /** What is under way in the shop. */
  tellShop() {
    for (const { response } of this.#listeners) event(response, 'catalogue', this.shop.told);
  }

  /** @param {Session} session */
  drop(session) {
    this.sessions = this.sessions.filter((other) => other !== session);
    for (const { response } of this.#listeners) event(response, 'gone', { id: session.id });
  }

  /** Nobody sees it until it is taken back. @param {Session} session @param {string} [at] */
  discard(session, at = new Date().toISOString()) {
    session.thrown = at;
    for (const { response } of this.#listeners) event(response, 'gone', { id: session.id });
  }

  /** @param {Response} response @param {Login} login */
  logIn(response, login) {
    const value = secret();
    this.logins.set(value, login);
    response.setHeader('Set-Cookie', `${this.cookie}=${value}; Path=/; HttpOnly; Secure; SameSite=Lax`);
  }

  /** @param {Request} request */
  loginOf(request) {
    const value = new RegExp(`${this.cookie}=([^;]+)`).exec(request.headers.cookie ?? '')?.[1];
    return { value, login: value ? this.logins.get(value) : undefined };
  }

  /** @param {Response} response @param {Login} login @param {boolean} isAll */
  listenTo(response, login, isAll) {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const listener = { response, login, isAll };
    this.#listeners.add(listener);
    response.on('close', () => this.#listeners.delete(listener));
    event(response, 'ready', {});
  }

  // HTTP ------------------------------------------------------------------------------------------

  /** @param {Request} request @param {Response} response */
  async #answer(request, response) {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const url = new URL(request.url ?? '/', this.url);
    try {
      await this.#planted(`${request.method} ${url.pathname}`, request);
      if (url.pathname.startsWith('/api/')) await this.#api(request, response, url);
      else this.#file(response, url.pathname);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, title, detail, retryAfter } = /** @type {any} */ (error);
      response.writeHead(status, { 'content-type': 'application/problem+json', ...(retryAfter && { 'retry-after': String(retryAfter) }) });
      response.end(JSON.stringify({ type: 'about:blank', title, status, detail }));
    }
  }

  /** @param {string} line @param {Request} request */
  async #planted(line, request) {
    const fault = this.faults.find(({ match }) => match.test(line));
    if (fault?.hold) await fault.hold;
    if (fault?.cut) request.socket.destroy();
    if (fault?.status) throw new Refusal(fault.status, fault.title ?? 'Planted', fault.detail, fault.retryAfter);
  }

  /** @param {Request} request @param {Response} response @param {URL} url */
  async #api(request, response, url) {
    const method = request.method ?? 'GET';
    if (method !== 'GET' && request.headers.origin !== this.url) throw new Refusal(403, 'Other origin', 'pages of another address may not ask this');
    let text = '';
    for await (const chunk of request) text += chunk;
    this.asked.push(`${method} ${url.pathname}${url.search} ${text}`.trim());
    const body = text ? JSON.parse(text) : {};
    for (const [line, handler] of [...routes, ...catalogueRoutes]) {
      const [verb, pattern] = line.split(' ');
      const found = verb === method && new RegExp(`^/api/v1/${pattern?.replace(/\{\}/g, '([^/]+)')}$`).exec(url.pathname);
      if (!found) continue;
      const answer = handler({ double: this, request, response, url, body, parts: found.slice(1).map(decodeURIComponent), ...this.loginOf(request) });
      if (answer === undefined) return;
      const [status, value] = answer;
      response.writeHead(status, { 'cache-control': 'no-store', ...(value && { 'content-type': 'application/json' }) });
      response.end(value ? JSON.stringify(value) : undefined);
      return;
    }
    throw new Refusal(404, 'Not found', `there is nothing at ${url.pathname}`);
  }

  /** @param {Response} response @param {string} path */
  #file(response, path) {
    const page = path === '/' ? 'home.html' : path === '/enter' ? 'enter.html' : path.startsWith('/s/') ? 'redeem.html' : null;
    if (path.startsWith('/d/')) {
      response.writeHead(200, { 'content-type': TYPES['.html'] });
      response.end('<!doctype html><title>Desktop</title><h1>A desktop</h1>');
      return;
    }
    const name = page ?? (path.startsWith('/static/') ? normalize(path.slice('/static/'.length)) : '404.html');
    const file = join(web, name);
    if (!file.startsWith(web) || !existsSync(file) || name === '404.html') throw new Refusal(404, 'Not found', path);
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'cache-control': 'no-cache' });
    response.end(readFileSync(file));
  }
}

/** @param {number} [bytes] */
export const secret = (bytes = 24) => randomBytes(bytes).toString('base64url');

/** @param {Response} response @param {string} name @param {object} data */
const event = (response, name, data) => response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
