// @ts-check
/** The routes of the double's API. */

import { templateRoutes } from './double-templates.mjs';
import { Refusal } from './double.mjs';

/** @typedef {import('./double.mjs').Double} Double */
/** @typedef {import('./double.mjs').Login} Login */
/** @typedef {import('./double.mjs').Session} Session */
/** @typedef {import('./double.mjs').User} User */

/**
 * @typedef {{ double: Double, request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse,
 *   url: URL, body: any, parts: string[], value: string | undefined, login: Login | undefined }} Call
 * @typedef {[number, object?] | undefined} Answer undefined: it has answered itself
 */

const MOST_WRONG = 4;
const WAIT_S = 3;

/** @param {Call} call @returns {User} */
function signedIn({ login }) {
  if (!login?.user) throw new Refusal(401, 'Not signed in', 'sign in first');
  return login.user;
}

/** @param {Call} call */
function admin(call) {
  const user = signedIn(call);
  if (user.role !== 'admin') throw new Refusal(403, 'Not allowed', 'only an administrator may do this');
  return user;
}

/** @param {Call} call @param {boolean} [toManage] @param {boolean} [mayBeThrown] */
function session(call, toManage = true, mayBeThrown = false) {
  if (!call.login) throw new Refusal(401, 'Not signed in', 'sign in first');
  const found = call.double.sessions.find(({ id }) => id === call.parts[0]);
  const standing = found && call.login && call.double.standing(found, call.login);
  if (!found || !standing || (found.thrown && !mayBeThrown)) throw new Refusal(404, 'Not found', 'there is no such desktop');
  if (toManage && standing !== 'owner' && standing !== 'admin') throw new Refusal(403, 'Not allowed', 'the desktop is another person’s');
  return found;
}

/** @param {User} user */
const shown = ({ id, name, display_name, role, password, disabled }) => ({ id, name, display_name, role, has_password: password !== null, disabled });

/** @param {any} link */
const linkShown = ({ token, revoked, ...link }) => link;

/** @type {[string, (call: Call) => Answer][]} */
export const routes = [
  ['POST login', ({ double, response, body }) => {
    if (double.wrongTries >= MOST_WRONG) {
      setTimeout(() => { double.wrongTries = 0; }, WAIT_S * 1000);
      throw new Refusal(429, 'Too many tries', 'wait', WAIT_S);
    }
    const user = double.users.find(({ name, password }) => name === body.name && password !== null && password === body.password);
    if (!user) {
      double.wrongTries += 1;
      throw new Refusal(401, 'Wrong name or password', 'the name or the password is wrong');
    }
    if (user.disabled) throw new Refusal(403, 'Switched off', 'this account is switched off; ask an administrator');
    double.wrongTries = 0;
    double.logIn(response, { user });
    return [204];
  }],
  ['POST logout', ({ double, value, response }) => {
    double.logins.delete(value ?? '');
    response.setHeader('Set-Cookie', `${double.cookie}=; Path=/; Secure; Max-Age=0`);
    return [204];
  }],
  ['POST enter', ({ double, response, body }) => {
    const enter = double.enters.get(body.token);
    if (!enter) throw new Refusal(404, 'No such sign-in', 'this sign-in is not known');
    if (enter.state === 'used') throw new Refusal(410, 'Sign-in used', 'this sign-in has been used');
    if (enter.state === 'expired') throw new Refusal(410, 'Sign-in expired', 'this sign-in has expired');
    enter.state = 'used';
    double.logIn(response, { user: enter.user });
    return [204];
  }],
  ['GET me', ({ login }) => {
    if (login?.user) return [200, { user: shown(login.user) }];
    if (login?.guest) return [200, { guest: login.guest }];
    throw new Refusal(401, 'Not signed in', 'sign in first');
  }],
  ['PUT me/password', (call) => {
    const user = signedIn(call);
    if (user.password !== null && call.body.current !== user.password) throw new Refusal(403, 'Wrong password', 'the current password is wrong');
    if (call.body.new.length < 8) throw new Refusal(422, 'Password too short', 'a password has at least 8 characters');
    user.password = call.body.new;
    return [204];
  }],
  ['GET users', (call) => (admin(call), [200, { users: call.double.users.map(shown) }])],
  ['POST users', (call) => {
    admin(call);
    const { name, display_name = '', role = 'member' } = call.body;
    if (call.double.users.some((user) => user.name === name)) throw new Refusal(409, 'Name taken', `there is a person named ${name} already`);
    const user = call.double.addUser({ name, display_name, role });
    return [201, { ...shown(user), url: call.double.addEnter(user) }];
  }],
  ['PATCH users/{}', (call) => {
    admin(call);
    const user = call.double.users.find(({ id }) => id === call.parts[0]);
    if (!user) throw new Refusal(404, 'Not found', 'there is no such person');
    Object.assign(user, call.body);
    return [200, shown(user)];
  }],
  ['DELETE users/{}', (call) => {
    admin(call);
    call.double.users = call.double.users.filter(({ id }) => id !== call.parts[0]);
    return [204];
  }],
  ['GET machine/checks', (call) => (admin(call), [200, { checks: call.double.checks }])],
  ['GET machine/images', (call) => (admin(call), [200, call.double.stock])],
  ['GET machine/volumes', (call) => (admin(call), [200, call.double.volumes])],
  ['DELETE machine/images/{}', (call) => {
    admin(call);
    const { stock } = call.double;
    const found = stock.images.find(({ id }) => id === call.parts[0]);
    if (!found) throw new Refusal(404, 'Not found', 'there is no such image, or it is not shared with you');
    if (found.kept !== null) throw new Refusal(409, 'Not possible now', `that image stays: ${found.kept}`);
    stock.images = stock.images.filter((one) => one !== found);
    stock.total_bytes -= found.size_bytes;
    stock.removable_bytes -= found.size_bytes;
    return [204];
  }],
  ['GET machine/figures', (call) => {
    admin(call);
    call.response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    call.response.end(`retry: 50\nevent: figures\ndata: ${JSON.stringify(call.double.figures)}\n\nevent: backup\ndata: ${JSON.stringify(call.double.backup)}\n\n`);
    return undefined;
  }],
  ...['backup', 'backup/drill'].map((path) => /** @type {const} */ ([`POST ${path}`, (/** @type {any} */ call) => {
    admin(call);
    const { backup } = call.double;
    if (backup.now) throw new Refusal(409, 'Not possible now', 'a backup or a drill is under way already; wait until that is done');
    Object.assign(backup, { now: path === 'backup' ? 'backup' : 'drill', progress: { since: new Date().toISOString(), done: 0, of: 0 } });
    return [202, backup];
  }])),
  ['GET templates', (call) => (signedIn(call), [200, { templates: call.double.templates }])],
  ['GET sessions', (call) => {
    const user = signedIn(call);
    const login = /** @type {Login} */ (call.login);
    const isThrown = call.url.searchParams.get('discarded') === '1';
    const isAll = call.url.searchParams.get('all') === '1' && user.role === 'admin';
    const seen = call.double.sessions.filter((one) => {
      const standing = call.double.standing(one, login);
      if (isThrown !== (one.thrown !== undefined) || (isThrown && standing !== 'owner')) return false;
      return standing && (isAll || standing !== 'admin');
    });
    return [200, { sessions: seen.map((one) => call.double.seen(one, login)) }];
  }],
  ['POST sessions', (call) => {
    const owner = signedIn(call);
    const template = call.double.templates.find(({ id }) => id === call.body.template);
    if (!template) throw new Refusal(422, 'Unknown template', `there is no template ${call.body.template}`);
    const made = call.double.addSession({ owner, name: call.body.name ?? template.title, state: 'requested', created_at: new Date().toISOString() });
    call.double.startSoon(made);
    return [201, call.double.seen(made, { user: owner })];
  }],
  ['DELETE sessions/{}', (call) => (call.double.drop(session(call, true, true)), [204])],
  ['PATCH sessions/{}', (call) => {
    const one = session(call);
    one.name = call.body.name;
    call.double.tell(one);
    return [200, call.double.seen(one, call.login ?? {})];
  }],
  ['POST sessions/{}/duplicate', (call) => {
    const [like, owner] = [session(call), signedIn(call)];
    const made = call.double.addSession({ owner, name: call.body.name, template: like.template, state: 'requested', created_at: new Date().toISOString() });
    call.double.startSoon(made);
    return [201, call.double.seen(made, { user: owner })];
  }],
  ['POST sessions/{}/discard', (call) => {
    const one = session(call);
    call.double.discard(one);
    return [200, call.double.seen(one, call.login ?? {})];
  }],
  ['POST sessions/{}/recover', (call) => {
    const one = session(call, true, true);
    delete one.thrown;
    call.double.tell(one);
    return [200, call.double.seen(one, call.login ?? {})];
  }],
  ['POST sessions/{}/restart', (call) => {
    const one = session(call);
    call.double.startSoon(one);
    return [202, call.double.seen(one, call.login ?? {})];
  }],
  ['GET sessions/{}/picture', (call) => {
    const { png } = session(call, false);
    if (!png) return [204];
    call.response.writeHead(200, { 'content-type': 'image/png', 'content-length': String(png.length) });
    call.response.end(png);
    return undefined;
  }],
  ['POST sessions/{}/apps', (call) => {
    const one = session(call);
    const app = one.apps?.find(({ name }) => name === call.body.app);
    if (!app) throw new Refusal(404, 'Not found', 'there is no such app');
    app.state = 'running';
    call.double.tell(one);
    return [202, app];
  }],
  ['DELETE sessions/{}/apps/{}', (call) => {
    const one = session(call);
    const app = one.apps?.find(({ name }) => name === call.parts[1]);
    if (app) app.state = 'closed';
    call.double.tell(one);
    return [204];
  }],
  ['POST sessions/{}/start', (call) => {
    const one = session(call);
    call.double.startSoon(one);
    return [202, call.double.seen(one, call.login ?? {})];
  }],
  ['POST sessions/{}/stop', (call) => {
    const one = session(call);
    call.double.become(one, 'stopping');
    setTimeout(() => call.double.become(one, 'stopped'), call.double.startMs);
    return [202, call.double.seen(one, call.login ?? {})];
  }],
  ['POST sessions/{}/pause', (call) => {
    const one = session(call);
    call.double.become(one, 'idle');
    return [202, call.double.seen(one, call.login ?? {})];
  }],
  ['POST sessions/{}/reset', (call) => {
    const one = session(call);
    call.double.startSoon(one);
    return [202, call.double.seen(one, call.login ?? {})];
  }],
  ['GET sessions/{}/logs/parts', (call) => [200, { parts: Object.keys(session(call).logs ?? {}).map((part) => ({ part, ...(part === 'app:code' && { title: 'VS Code' }) })) }]],
  ['GET sessions/{}/logs', (call) => {
    const log = session(call).logs?.[call.url.searchParams.get('part') ?? ''];
    if (!log) throw new Refusal(404, 'Not found', 'there is no such part');
    if (call.url.searchParams.get('follow') !== '1') {
      call.response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'content-disposition': 'attachment; filename="log"' });
      call.response.end(log.lines.map(({ at, text }) => `${at} ${text}\n`).join(''));
      return undefined;
    }
    call.response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    call.response.write(`event: ready\ndata: {}\n\nevent: lines\ndata: ${JSON.stringify(log.lines)}\n\n`);
    log.readers.add(call.response);
    call.response.on('close', () => log.readers.delete(call.response));
    return undefined;
  }],
  ['GET sessions/{}/links', (call) => [200, { links: session(call).links.filter(({ revoked }) => !revoked).map(linkShown) }]],
  ['POST sessions/{}/links', (call) => {
    const { role, expires_in_s: seconds = 86_400, max_uses = null, ...unknown } = call.body;
    if (Object.keys(unknown).length > 0) throw new Refusal(422, 'Unknown field', `unknown field ${Object.keys(unknown)}`);
    const made = call.double.addLink(session(call), { role, max_uses, expires_at: new Date(Date.now() + seconds * 1000).toISOString() });
    return [201, linkShown(made)];
  }],
  ['DELETE sessions/{}/links/{}', (call) => {
    const link = session(call).links.find(({ id }) => id === call.parts[1]);
    if (!link) throw new Refusal(404, 'Not found', 'there is no such link');
    link.revoked = true;
    return [204];
  }],
  ['GET sessions/{}/preview-links', (call) => [200, { links: (session(call).pages ?? []).map(({ url, ...link }) => link) }]],
  ['POST sessions/{}/preview-links', (call) => {
    const one = session(call);
    const { port, expires_in_s: seconds = 86_400 } = call.body;
    const id = String((one.pages?.length ?? 0) + 1);
    const made = { id, port, uses: 0, created_at: new Date().toISOString(), expires_at: new Date(Date.now() + seconds * 1000).toISOString(), url: `${call.double.url}/s/${'p'.repeat(42)}${id}` };
    one.pages = [made, ...(one.pages ?? [])];
    return [201, made];
  }],
  ['DELETE sessions/{}/preview-links/{}', (call) => {
    const one = session(call);
    one.pages = one.pages?.filter(({ id }) => id !== call.parts[1]);
    return [204];
  }],
  ...templateRoutes((call) => session(call)),
  ['GET sessions/{}/viewers', (call) => [200, { viewers: session(call, false).watchers }]],
  ['POST sessions/{}/control', (call) => {
    const one = session(call);
    for (const watcher of one.watchers) watcher.driving = call.body.to === null ? watcher.you : watcher.viewer === call.body.to;
    return [204];
  }],
  ['POST redeem', (call) => {
    const page = call.double.sessions.flatMap(({ pages = [] }) => pages).find(({ url }) => url.endsWith(`/${call.body.token}`));
    if (page) return [200, { url: call.double.entrance, role: 'preview' }];
    const one = call.double.sessions.find(({ links }) => links.some(({ token }) => token === call.body.token));
    const link = one?.links.find(({ token }) => token === call.body.token);
    if (!one || !link) throw new Refusal(404, 'No such link', 'this link is not known');
    if (link.revoked) throw new Refusal(410, 'Link revoked', 'this link was revoked');
    if (Date.parse(link.expires_at) < Date.now()) throw new Refusal(410, 'Link expired', 'this link has expired');
    if (link.max_uses !== null && link.uses >= link.max_uses) throw new Refusal(410, 'Link used up', 'this link has been used as often as it may');
    link.uses += 1;
    if (call.login?.user) one.grants.set(call.login.user.id, link.role);
    else call.double.logIn(call.response, { guest: { session: one.id, role: link.role } });
    return [200, { url: `/d/${one.id}`, role: link.role }];
  }],
  ['GET events', (call) => {
    const user = signedIn(call);
    call.double.listenTo(call.response, { user }, call.url.searchParams.get('all') === '1' && user.role === 'admin');
    return undefined;
  }],
];

