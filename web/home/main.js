/**
 * The home page: one model, changed by events, from which every view is drawn. What the person does
 * is asked of the server here, and the answers become events.
 */

import { newer, releaseOf } from '../client/release.js';
import { h, render } from '../vendor/preact/preact.mjs';
import { desktopUrl } from './addresses.js';
import { Api, path } from './api.js';
import { LiveEvents } from './live.js';
import { sentence } from './problems.js';
import { apply, called, initial } from './state.js';
import { Page } from './view/page.js';

/** @import { Answer, Event, Guest, Link, LinkRole, Me, Model, Problem, Session, Tab, Template, User, Viewer } from './types.js' */

/** @typedef {typeof actions} Actions */

const TICK_MS = 20_000;
const TOAST_MS = 5000;
/** A loss that heals at once is not worth a word. */
const LOST_AFTER_MS = 1500;
const REST_AFTER_MS = 60_000;
/** How often a list is read again because it changed while it was read. */
const READS = 3;
const TABS = /** @type {readonly Tab[]} */ (['mine', 'all', 'people']);
/** @type {Readonly<Record<Tab, string>>} */
const TITLES = { mine: 'My desktops', all: 'All desktops', people: 'People' };

const base = new URL('.', location.href).href;
const ownRelease = releaseOf(import.meta.url);
const api = new Api(base, (release) => {
  const update = newer(ownRelease, release);
  if (release !== null && update !== model.update) dispatch({ type: 'update', release: update });
});
const root = /** @type {HTMLElement} */ (document.getElementById('app'));

const tabOf = () => TABS.find((tab) => location.hash === `#${tab}`) ?? 'mine';

/** @type {Model} */
let model = initial(tabOf());
let isDrawn = true;
let hadDialog = false;
let toastTimer = 0;
let lostTimer = 0;
let restTimer = 0;
/** How many changes were told: a list that was asked for before one of them may be older. */
let changes = 0;

/** @param {Event} event */
function dispatch(event) {
  const before = model;
  model = apply(model, { ...event, now: Date.now() });
  if (model.toast && model.toast.id !== before.toast?.id) {
    clearTimeout(toastTimer);
    const { id } = model.toast;
    toastTimer = setTimeout(() => dispatch({ type: 'toast-over', id }), TOAST_MS);
  }
  if (!isDrawn) return;
  isDrawn = false;
  queueMicrotask(draw);
}

function draw() {
  isDrawn = true;
  const { state } = document.documentElement.dataset;
  document.documentElement.dataset.state = model.phase;
  document.title = model.phase === 'in' ? `${TITLES[model.tab]} · Lattice` : model.phase === 'out' ? 'Sign in · Lattice' : 'Lattice';
  render(h(Page, { model, actions }), root);
  // Whatever had the focus is gone with it: go on from where the page begins.
  const isAnew = state !== model.phase || hadDialog !== (model.dialog !== null);
  hadDialog = model.dialog !== null;
  if (isAnew && document.activeElement === document.body) begin();
}

/** Gives the keyboard to the first field, or to the page's title. */
function begin() {
  const first = root.querySelector('#f-name') ?? root.querySelector('main h1');
  if (!(first instanceof HTMLElement)) return;
  if (first instanceof HTMLHeadingElement) first.tabIndex = -1;
  first.focus({ preventScroll: true });
}

/** @param {string} text @param {'' | 'stop'} [tone] */
const say = (text, tone = '') => dispatch({ type: 'toast', text, tone });

/** The value of a good answer. Whoever is signed out by now sees the way in. @template T @param {Answer<T>} answer @param {(problem: Problem) => void} refuse @returns {{ value: T } | null} */
function taken(answer, refuse) {
  if (answer.ok) return { value: answer.value };
  if (answer.problem.trouble === 'signed-out' && model.phase === 'in') leave(null);
  else refuse(answer.problem);
  return null;
}

/** @param {Problem} problem */
const complain = (problem) => say(sentence(problem), 'stop');

// Who is there ------------------------------------------------------------------------------------

/** @param {Guest | null} guest */
function leave(guest) {
  live.stop();
  clearTimeout(lostTimer);
  dispatch({ type: 'signed-out', guest });
}

async function check() {
  dispatch({ type: 'asked' });
  /** @type {Answer<{ user?: Me, guest?: Guest }>} */
  const answer = await api.ask('GET', 'me');
  if (!answer.ok) {
    if (answer.problem.trouble === 'signed-out') return leave(null);
    if (model.phase !== 'in') dispatch({ type: 'away', problem: answer.problem });
    return undefined;
  }
  if (!answer.value?.user) return leave(answer.value?.guest ?? null);
  dispatch({ type: 'signed-in', me: answer.value.user });
  follow();
  if (!model.sessions.items) void readSessions();
  void readTemplates();
  if (model.tab === 'people') void readUsers();
  return undefined;
}

/** @param {string} name @param {string} password */
async function signIn(name, password) {
  if (model.signIn.busy) return;
  dispatch({ type: 'signing-in' });
  const answer = await api.ask('POST', 'login', { name, password });
  if (answer.ok) await check();
  else {
    dispatch({ type: 'sign-in-failed', problem: answer.problem });
    const password = document.getElementById('f-password');
    if (password instanceof HTMLInputElement) password.select();
  }
}

async function signOut() {
  const answer = await api.ask('POST', 'logout');
  if (answer.ok || answer.problem.trouble === 'signed-out') leave(null);
  else complain(answer.problem);
}

/** @param {string | null} current @param {string} fresh */
async function setPassword(current, fresh) {
  dispatch({ type: 'asking' });
  const answer = await api.ask('PUT', 'me/password', { ...(current !== null && { current }), new: fresh });
  // Here 401 and 403 speak of the current password.
  const isWrong = !answer.ok && current !== null && ['signed-out', 'forbidden'].includes(answer.problem.trouble);
  if (isWrong) {
    const problem = { ...answer.problem, trouble: /** @type {const} */ ('wrong'), detail: 'The current password is not right.' };
    return dispatch({ type: 'refused', kind: 'password', problem });
  }
  if (!taken(answer, (problem) => dispatch({ type: 'refused', kind: 'password', problem }))) return undefined;
  dispatch({ type: 'password-set' });
  dispatch({ type: 'close' });
  return say('The password is set');
}

// Desktops ----------------------------------------------------------------------------------------

/** Administrators hear and see everybody's. */
const scope = () => (model.me?.role === 'admin' ? '?all=1' : '');

const follow = () => live.start(api.url(`events${scope()}`));

async function readSessions() {
  for (let read = 1; read <= READS; read += 1) {
    const seen = changes;
    /** @type {Answer<{ sessions: Session[] }>} */
    const answer = await api.ask('GET', `sessions${scope()}`);
    if (model.phase !== 'in') return;
    const got = taken(answer, (problem) => dispatch({ type: 'sessions-failed', problem }));
    if (!got) return;
    if (seen !== changes && read < READS) continue;
    dispatch({ type: 'sessions', sessions: got.value.sessions });
    return;
  }
}

async function readTemplates() {
  /** @type {Answer<{ templates: Template[] }>} */
  const answer = await api.ask('GET', 'templates');
  if (answer.ok) dispatch({ type: 'templates', templates: answer.value.templates });
}

/** @param {string} template @param {string} name */
async function create(template, name) {
  dispatch({ type: 'asking' });
  dispatch({ type: 'acting', id: 'new' });
  /** @type {Answer<Session>} */
  const answer = await api.ask('POST', 'sessions', { template, ...(name && { name }) });
  dispatch({ type: 'acted', id: 'new' });
  const got = taken(answer, (problem) => (
    model.dialog ? dispatch({ type: 'refused', kind: 'new', problem }) : complain(problem)));
  if (!got) return;
  changes += 1;
  dispatch({ type: 'session', session: got.value });
  dispatch({ type: 'close' });
}

function startFirst() {
  const [only, ...others] = model.templates;
  if (only && others.length === 0) void create(only.id, '');
  else actions.openNew();
}

/** @param {string} id @param {'start' | 'stop' | 'pause' | 'reset'} verb */
async function act(id, verb) {
  dispatch({ type: 'acting', id });
  /** @type {Answer<Session | null>} */
  const answer = await api.ask('POST', path('sessions', id, verb));
  dispatch({ type: 'acted', id });
  const got = taken(answer, (problem) => (
    model.dialog?.kind === verb ? dispatch({ type: 'refused', kind: verb, problem }) : complain(problem)));
  if (!got) return;
  if (got.value) {
    changes += 1;
    dispatch({ type: 'session', session: got.value });
  }
  if (verb === 'stop' || verb === 'reset') dispatch({ type: 'close' });
  if (verb === 'reset') say('The desktop begins anew');
}

/** @param {string} id */
async function remove(id) {
  dispatch({ type: 'asking' });
  const answer = await api.ask('DELETE', path('sessions', id));
  const isGone = answer.ok || answer.problem.trouble === 'missing';
  if (!isGone && !taken(answer, (problem) => dispatch({ type: 'refused', kind: 'delete', problem }))) return;
  changes += 1;
  dispatch({ type: 'gone', id });
  dispatch({ type: 'close' });
  say('The desktop is deleted');
}

// Links and viewers -------------------------------------------------------------------------------

/** @param {string | null} session null for another link of the same */
function openShare(session) {
  const { dialog } = model;
  const id = session ?? (dialog?.kind === 'share' ? dialog.session : '');
  const known = session === null && dialog?.kind === 'share' ? dialog : { links: null, viewers: null };
  dispatch({ type: 'open', dialog: { kind: 'share', session: id, made: null, links: known.links, viewers: known.viewers, busy: false, problem: null } });
  void readLinks(id);
  void readViewers(id);
}

/** @param {string} session */
async function readLinks(session) {
  /** @type {Answer<{ links: Link[] }>} */
  const answer = await api.ask('GET', path('sessions', session, 'links'));
  const got = taken(answer, (problem) => dispatch({ type: 'refused', kind: 'share', problem }));
  if (got) dispatch({ type: 'links', session, links: got.value.links });
}

/** @param {string} session */
async function readViewers(session) {
  /** @type {Answer<{ viewers: Viewer[] }>} */
  const answer = await api.ask('GET', path('sessions', session, 'viewers'));
  // Who is there is known for desktops that run; of others there is nothing to say.
  if (answer.ok) dispatch({ type: 'viewers', session, viewers: answer.value.viewers });
}

/** @param {string} session @param {{ role: LinkRole, expires_in_s: number, max_uses: number | null }} wish */
async function makeLink(session, wish) {
  dispatch({ type: 'asking' });
  /** @type {Answer<Link>} */
  const answer = await api.ask('POST', path('sessions', session, 'links'), wish);
  const got = taken(answer, (problem) => dispatch({ type: 'refused', kind: 'share', problem }));
  if (got) dispatch({ type: 'link-made', session, link: got.value });
}

/** @param {string} session @param {string} id */
async function revoke(session, id) {
  dispatch({ type: 'acting', id });
  const answer = await api.ask('DELETE', path('sessions', session, 'links', id));
  dispatch({ type: 'acted', id });
  const isGone = answer.ok || answer.problem.trouble === 'missing';
  if (!isGone && !taken(answer, complain)) return;
  dispatch({ type: 'link-gone', session, id });
  say('The link is revoked');
  queueMicrotask(() => document.getElementById('links-title')?.focus());
}

/** @param {string} session @param {number | null} to */
async function giveControl(session, to) {
  const answer = await api.ask('POST', path('sessions', session, 'control'), { to });
  if (taken(answer, complain)) void readViewers(session);
}

// People ------------------------------------------------------------------------------------------

async function readUsers() {
  /** @type {Answer<{ users: User[] }>} */
  const answer = await api.ask('GET', 'users');
  const got = taken(answer, (problem) => dispatch({ type: 'users-failed', problem }));
  if (got) dispatch({ type: 'users', users: got.value.users });
}

/** @param {string} name @param {string} display @param {'member' | 'admin'} role */
async function addPerson(name, display, role) {
  dispatch({ type: 'asking' });
  /** @type {Answer<{ url?: string }>} */
  const answer = await api.ask('POST', 'users', { name, role, ...(display && { display_name: display }) });
  const got = taken(answer, (problem) => dispatch({ type: 'refused', kind: 'person', problem }));
  if (!got) return;
  const { url } = got.value;
  if (url) dispatch({ type: 'open', dialog: { kind: 'invited', name: display || name, url, busy: false, problem: null } });
  else dispatch({ type: 'close' });
  void readUsers();
}

/** @param {User} user @param {boolean} disabled */
async function setDisabled(user, disabled) {
  dispatch({ type: 'acting', id: user.id });
  /** @type {Answer<User>} */
  const answer = await api.ask('PATCH', path('users', user.id), { disabled });
  dispatch({ type: 'acted', id: user.id });
  const got = taken(answer, complain);
  if (!got) return;
  dispatch({ type: 'user', user: got.value });
  say(`${called(user)} ${disabled ? 'is switched off' : 'can sign in again'}`);
}

/** @param {User} user */
async function removePerson(user) {
  dispatch({ type: 'asking' });
  const answer = await api.ask('DELETE', path('users', user.id));
  const isGone = answer.ok || answer.problem.trouble === 'missing';
  if (!isGone && !taken(answer, (problem) => dispatch({ type: 'refused', kind: 'delete-person', problem }))) return;
  dispatch({ type: 'user-gone', id: user.id });
  dispatch({ type: 'close' });
  say(`${called(user)} is deleted`);
}

// What views may ask for --------------------------------------------------------------------------

const quiet = Object.freeze({ busy: false, problem: null });

const actions = {
  check, signIn, signOut, setPassword, readSessions, create, startFirst, remove, openShare, makeLink, revoke, giveControl,
  readUsers, addPerson, setDisabled, removePerson, say,
  ask: api.ask.bind(api), read: api.read.bind(api), url: api.url.bind(api),
  /** @param {string} id */
  desktop: (id) => desktopUrl(base, id),
  /** @param {string} id */
  start: (id) => act(id, 'start'),
  /** @param {string} id */
  stop(id) {
    dispatch({ type: 'asking' });
    return act(id, 'stop');
  },
  /** @param {string} id */
  pause: (id) => act(id, 'pause'),
  /** @param {string} id */
  reset(id) {
    dispatch({ type: 'asking' });
    return act(id, 'reset');
  },
  close: () => dispatch({ type: 'close' }),
  openNew() {
    if (model.templates.length === 0) void readTemplates();
    dispatch({ type: 'open', dialog: { kind: 'new', ...quiet } });
  },
  openPassword: () => dispatch({ type: 'open', dialog: { kind: 'password', ...quiet } }),
  openPerson: () => dispatch({ type: 'open', dialog: { kind: 'person', ...quiet } }),
  /** @param {string} session */
  openStop: (session) => dispatch({ type: 'open', dialog: { kind: 'stop', session, ...quiet } }),
  /** @param {string} session */
  openSnapshots: (session) => dispatch({ type: 'open', dialog: { kind: 'snapshots', session, ...quiet } }),
  /** @param {string} session */
  openReset: (session) => dispatch({ type: 'open', dialog: { kind: 'reset', session, ...quiet } }),
  /** @param {string} session */
  openDelete: (session) => dispatch({ type: 'open', dialog: { kind: 'delete', session, ...quiet } }),
  /** @param {User} user */
  openDeletePerson: (user) => dispatch({ type: 'open', dialog: { kind: 'delete-person', user, ...quiet } }),
  /** @param {boolean} isCopied */
  copied: (isCopied) => (isCopied ? say('The link is copied') : say('The browser does not let this page copy. Press Ctrl+C: the link is selected.', 'stop')),
  reload: () => location.reload(),
  putOffUpdate: () => dispatch({ type: 'update-put-off' }),
  dismiss: () => { if (model.toast) dispatch({ type: 'toast-over', id: model.toast.id }); },
  hurry() {
    live.hurry();
    void readSessions();
  },
};

// Start -------------------------------------------------------------------------------------------

const live = new LiveEvents({
  ready: () => void readSessions(),
  session(session) {
    changes += 1;
    dispatch({ type: 'session', session });
    const { dialog } = model;
    if (dialog?.kind === 'share' && dialog.session === session.id) {
      void readLinks(session.id);
      void readViewers(session.id);
    }
  },
  gone(id) {
    changes += 1;
    dispatch({ type: 'gone', id });
  },
  state(state) {
    clearTimeout(lostTimer);
    if (state.state !== 'lost' || model.live.state === 'lost') return dispatch({ type: 'live', live: state });
    lostTimer = setTimeout(() => dispatch({ type: 'live', live: state }), LOST_AFTER_MS);
    return undefined;
  },
  lost: () => void check(),
});

window.addEventListener('hashchange', () => {
  dispatch({ type: 'tab', tab: tabOf() });
  if (model.tab === 'people') void readUsers();
});
window.addEventListener('online', () => live.hurry());
// Come back to by the browser's own button, with everything as it was left.
window.addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return;
  live.stop();
  void check();
});
// A browser has six connections to a server without TLS: pages that nobody looks at leave them to others.
document.addEventListener('visibilitychange', () => {
  clearTimeout(restTimer);
  if (document.hidden) restTimer = setTimeout(() => live.stop(), REST_AFTER_MS);
  else if (model.phase === 'in') {
    follow();
    live.hurry();
  }
});
setInterval(() => {
  if (model.phase !== 'in' || document.hidden) return;
  dispatch({ type: 'tick' });
  // Something on the way may swallow events.
  if (model.live.state !== 'on') void readSessions();
}, TICK_MS);

void check();
