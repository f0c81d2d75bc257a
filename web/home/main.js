/**
 * The home page: one model, changed by events, from which every view is drawn. What the person does
 * is asked of the server here, and the answers become events.
 */

import { newer, releaseOf } from '../client/release.js';
import { render } from '../vendor/preact/preact.mjs';
import { html } from './html.js';
import { desktopUrl, previewUrl } from './addresses.js';
import { Api, path } from './api.js';
import { beginnings } from './begin.js';
import { catalogue } from './catalogue.js';
import { LiveEvents } from './live.js';
import { others } from './others.js';
import { sentence } from './problems.js';
import { apply, initial, sessionOf, titled } from './state.js';
import { t } from './words.js';
import { Page } from './view/page.js';

/** @import { Answer, Event, Guest, Me, Model, Problem, Session, Tab, Template, User } from './types.js' */

/** @typedef {typeof actions} Actions */

const TICK_MS = 20_000;
const TOAST_MS = 5000;
/** What offers something is there for longer. */
const OFFER_MS = 12_000;
/** A loss that heals at once is not worth a word. */
const LOST_AFTER_MS = 1500;
const REST_AFTER_MS = 60_000;
/** How often a list is read again because it changed while it was read. */
const READS = 3;
const TABS = /** @type {readonly Tab[]} */ (['mine', 'apps', 'all', 'people', 'machine']);
/** @type {Readonly<Record<Tab, import('./words.js').TextKey>>} */
const TITLES = { mine: 'desktops.mine', apps: 'apps.title', all: 'desktops.all', people: 'people.title', machine: 'machine.title', desktop: 'desktops.one' };

const base = new URL('.', location.href).href;
const ownRelease = releaseOf(import.meta.url);
const api = new Api(base, (release) => {
  const update = newer(ownRelease, release);
  if (release !== null && update !== model.update) dispatch({ type: 'update', release: update });
});
const root = /** @type {HTMLElement} */ (document.getElementById('app'));

const tabOf = () => TABS.find((tab) => location.hash === `#${tab}`) ?? (subjectOf() ? 'desktop' : 'mine');
/** The desktop that a page is about. */
const subjectOf = () => /^#desktop\/([a-z0-9-]{1,64})$/.exec(location.hash)?.[1] ?? '';

/** @type {Model} */
let model = initial(tabOf(), subjectOf());
let isDrawn = true;
let hadDialog = false;
let hadToast = false;
let toastTimer = 0;
let lostTimer = 0;
let restTimer = 0;
/** How many changes were told: a list that was asked for before one of them may be older. */
let changes = 0;
/** Which of them an event told last of each desktop: an answer that was asked for before it is older. @type {Map<string, number>} */
const told = new Map();

/** @param {Event} event */
function dispatch(event) {
  const before = model;
  model = apply(model, { ...event, now: Date.now() });
  if (model.toast && model.toast.id !== before.toast?.id) {
    clearTimeout(toastTimer);
    const { id } = model.toast;
    toastTimer = setTimeout(() => endToast(id), model.toast.undo ? OFFER_MS : TOAST_MS);
  }
  if (!isDrawn) return;
  isDrawn = false;
  queueMicrotask(draw);
}

/** Not while somebody is about to press what it offers. @param {number} id */
function endToast(id) {
  if (model.toast?.undo && document.querySelector('.toast:is(:hover, :focus-within)')) {
    toastTimer = setTimeout(() => endToast(id), TOAST_MS);
  } else dispatch({ type: 'toast-over', id });
}

function draw() {
  isDrawn = true;
  const { state } = document.documentElement.dataset;
  document.documentElement.dataset.state = model.phase;
  document.title = model.phase === 'in' ? t('page.at', { title: titleOf(model) }) : t(model.phase === 'out' ? 'page.at-door' : 'page.product');
  render(html`<${Page} model=${model} actions=${actions} />`, root);
  // Whatever had the focus is gone with it: go on from where the page begins.
  const isAnew = state !== model.phase || hadDialog !== (model.dialog !== null);
  hadDialog = model.dialog !== null;
  const wasToast = document.activeElement === document.body && hadToast && !model.toast;
  hadToast = model.toast !== null;
  if ((isAnew && document.activeElement === document.body) || wasToast) begin();
}

/** @param {Model} shown */
function titleOf(shown) {
  const subject = shown.tab === 'desktop' ? sessionOf(shown, shown.subject) : null;
  return subject ? titled(subject) : t(TITLES[shown.tab]);
}

/** Gives the keyboard to the first field, or to the page's title. */
function begin() {
  const first = root.querySelector('#f-name') ?? root.querySelector('main h1');
  if (!(first instanceof HTMLElement)) return;
  if (first instanceof HTMLHeadingElement) first.tabIndex = -1;
  first.focus({ preventScroll: true });
}

/** @param {string} text @param {'' | 'stop'} [tone] @param {string} [undo] the session that can be had back */
const say = (text, tone = '', undo = '') => dispatch({ type: 'toast', text, tone, undo });

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
  void readThrown();
  void readTemplates();
  if (model.tab === 'people') void readUsers();
  if (model.tab === 'desktop') void readViewers(model.subject);
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
    const problem = { ...answer.problem, trouble: /** @type {const} */ ('wrong'), detail: t('password.wrong') };
    return dispatch({ type: 'refused', kind: 'password', problem });
  }
  if (!taken(answer, (problem) => dispatch({ type: 'refused', kind: 'password', problem }))) return undefined;
  dispatch({ type: 'password-set' });
  dispatch({ type: 'close' });
  return say(t('password.is-set'));
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

/** What reads Markdown comes when there is some: the first page has no use for it. @type {Promise<typeof import('../vendor/marked/marked.mjs')> | null} */
let marked = null;

/** @param {Pick<Template, 'id' | 'readme'>} template */
async function readReadme({ id, readme = '' }) {
  if (readme === '' || model.readmes[id]) return;
  const address = new URL('../vendor/marked/marked.mjs', import.meta.url).href;
  try {
    marked ??= import(address);
    const { lexer } = await marked;
    dispatch({ type: 'readme', template: id, tokens: lexer(readme) });
  } catch {
    // It is asked for again with the next page.
    marked = null;
  }
}

function startFirst() {
  const [only, ...others] = model.templates;
  if (only && others.length === 0) void create(only.id, '');
  else actions.openNew();
}

/** What was answered about a desktop, unless an event came first: that says how it is since. @param {Session} session @param {number} asked `changes` when it was asked for */
function answered(session, asked) {
  if ((told.get(session.id) ?? 0) > asked) return;
  changes += 1;
  dispatch({ type: 'session', session });
}

/** @param {string} id @param {'start' | 'stop' | 'restart' | 'pause' | 'reset'} verb */
async function act(id, verb) {
  const asked = changes;
  dispatch({ type: 'acting', id });
  /** @type {Answer<Session | null>} */
  const answer = await api.ask('POST', path('sessions', id, verb));
  dispatch({ type: 'acted', id });
  const got = taken(answer, (problem) => (
    model.dialog?.kind === verb ? dispatch({ type: 'refused', kind: verb, problem }) : complain(problem)));
  if (!got) return;
  if (got.value) answered(got.value, asked);
  if (verb === 'stop' || verb === 'restart' || verb === 'reset') dispatch({ type: 'close' });
  if (verb === 'reset') say(t('reset.done'));
}

/** @param {string} id @param {string} name */
async function rename(id, name) {
  const asked = changes;
  dispatch({ type: 'asking' });
  /** @type {Answer<Session>} */
  const answer = await api.ask('PATCH', path('sessions', id), { name });
  const got = taken(answer, (problem) => dispatch({ type: 'refused', kind: 'rename', problem }));
  if (!got) return;
  answered(got.value, asked);
  dispatch({ type: 'close' });
  say(t('rename.done', { name: titled(got.value) }));
}

/** @param {string} id @param {string} name */
async function duplicate(id, name) {
  const asked = changes;
  dispatch({ type: 'asking' });
  /** @type {Answer<Session>} */
  const answer = await api.ask('POST', path('sessions', id, 'duplicate'), { name });
  const got = taken(answer, (problem) => dispatch({ type: 'refused', kind: 'duplicate', problem }));
  if (!got) return;
  answered(got.value, asked);
  dispatch({ type: 'close' });
  if (model.tab === 'desktop') location.hash = '#mine';
}

async function readThrown() {
  /** @type {Answer<{ sessions: Session[] }>} */
  const answer = await api.ask('GET', 'sessions?discarded=1');
  if (answer.ok && model.phase === 'in') dispatch({ type: 'thrown', sessions: answer.value.sessions });
}

/** Throws a desktop away, which can be had back. @param {string} id */
async function remove(id) {
  dispatch({ type: 'acting', id });
  /** @type {Answer<Session>} */
  const answer = await api.ask('POST', path('sessions', id, 'discard'));
  dispatch({ type: 'acted', id });
  const isGone = answer.ok || answer.problem.trouble === 'missing';
  if (!isGone && !taken(answer, complain)) return;
  changes += 1;
  dispatch({ type: 'gone', id });
  if (model.tab === 'desktop' && model.subject === id) location.hash = '#mine';
  if (answer.ok) say(t('bin.done', { name: titled(answer.value) }), '', id);
  void readThrown();
}

/** @param {string} id */
async function recover(id) {
  const asked = changes;
  dispatch({ type: 'acting', id });
  /** @type {Answer<Session>} */
  const answer = await api.ask('POST', path('sessions', id, 'recover'));
  dispatch({ type: 'acted', id });
  const got = taken(answer, complain);
  if (!got) return void readThrown();
  answered(got.value, asked);
  return say(t('bin.back', { name: titled(got.value) }));
}

/** For good. @param {string} id */
async function forget(id) {
  dispatch({ type: 'asking' });
  const answer = await api.ask('DELETE', path('sessions', id));
  const isGone = answer.ok || answer.problem.trouble === 'missing';
  if (!isGone && !taken(answer, (problem) => dispatch({ type: 'refused', kind: 'forget', problem }))) return;
  const name = titled(model.thrown.find((one) => one.id === id) ?? { name: '' });
  dispatch({ type: 'thrown', sessions: model.thrown.filter((one) => one.id !== id) });
  dispatch({ type: 'close' });
  say(t('forget.done', { name }));
}

/** @param {string} session @param {string} app @param {boolean} isOpen whether it is to be open */
async function setApp(session, app, isOpen) {
  dispatch({ type: 'acting', id: `${session} ${app}` });
  const answer = isOpen
    ? await api.ask('POST', path('sessions', session, 'apps'), { app })
    : await api.ask('DELETE', path('sessions', session, 'apps', app));
  dispatch({ type: 'acted', id: `${session} ${app}` });
  taken(answer, complain);
}

// What views may ask for --------------------------------------------------------------------------

const { openShare, readLinks, readViewers, makeLink, revoke, giveControl, readUsers, addPerson, setDisabled, removePerson } = others({
  api, model: () => model, dispatch, say, complain, taken,
});

const { begin: beginDesktop, create, stopBeginning } = beginnings({
  api, model: () => model, dispatch, say, complain, taken,
  // Nobody was told of it before it was made.
  started: (session) => answered(session, 0),
});

const { readCatalogue, followPulls, openApp, settleApp } = catalogue({ api, model: () => model, dispatch, say, taken });

const quiet = Object.freeze({ busy: false, problem: null });

const actions = {
  check, signIn, signOut, setPassword, readSessions, begin: beginDesktop, stopBeginning, startFirst, rename, duplicate, remove, recover, forget, setApp, readReadme, openShare, makeLink, revoke, giveControl,
  readUsers, addPerson, setDisabled, removePerson, say, readCatalogue, openApp, settleApp,
  ask: api.ask.bind(api), read: api.read.bind(api), url: api.url.bind(api),
  /** @param {string} id */
  desktop: (id) => desktopUrl(base, id),
  /** @param {string} id @param {number} port */
  preview: (id, port) => previewUrl(base, id, port),
  /** @param {string} id */
  picture: (id) => api.picture(id),
  /** @param {string} query */
  search: (query) => dispatch({ type: 'query', query }),
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
  restart(id) {
    dispatch({ type: 'asking' });
    return act(id, 'restart');
  },
  /** @param {string} id */
  reset(id) {
    dispatch({ type: 'asking' });
    return act(id, 'reset');
  },
  close() {
    if (model.dialog?.kind === 'new') stopBeginning();
    dispatch({ type: 'close' });
  },
  /** @param {import('./types.js').Origin} origin */
  setOrigin: (origin) => dispatch({ type: 'beginning', change: { origin, problem: null } }),
  openNew() {
    if (model.templates.length === 0) void readTemplates();
    dispatch({ type: 'open', dialog: { kind: 'new', ...quiet, origin: 'nothing', step: '', sent: 0, total: 0, made: null } });
  },
  openPassword: () => dispatch({ type: 'open', dialog: { kind: 'password', ...quiet } }),
  openPerson: () => dispatch({ type: 'open', dialog: { kind: 'person', ...quiet } }),
  /** @param {string} session */
  openStop: (session) => dispatch({ type: 'open', dialog: { kind: 'stop', session, ...quiet } }),
  /** @param {string} session @param {number} port */
  openSharePage: (session, port) => dispatch({ type: 'open', dialog: { kind: 'share-page', session, port, ...quiet } }),
  /** @param {string} session */
  openSnapshots: (session) => dispatch({ type: 'open', dialog: { kind: 'snapshots', session, ...quiet } }),
  /** @param {string} session */
  openReset: (session) => dispatch({ type: 'open', dialog: { kind: 'reset', session, ...quiet } }),
  /** @param {string} session */
  openRestart: (session) => dispatch({ type: 'open', dialog: { kind: 'restart', session, ...quiet } }),
  /** @param {string} session */
  openRename: (session) => dispatch({ type: 'open', dialog: { kind: 'rename', session, ...quiet } }),
  /** @param {string} session */
  openDuplicate: (session) => dispatch({ type: 'open', dialog: { kind: 'duplicate', session, ...quiet } }),
  /** @param {Session} thrown */
  openForget: (thrown) => dispatch({ type: 'open', dialog: { kind: 'forget', thrown, ...quiet } }),
  /** @param {User} user */
  openDeletePerson: (user) => dispatch({ type: 'open', dialog: { kind: 'delete-person', user, ...quiet } }),
  /** @param {boolean} isCopied */
  copied: (isCopied) => (isCopied ? say(t('share.copied')) : say(t('share.not-copied'), 'stop')),
  reload: () => location.reload(),
  putOffUpdate: () => dispatch({ type: 'update-put-off' }),
  dismiss: () => { if (model.toast) dispatch({ type: 'toast-over', id: model.toast.id }); },
  hurry() {
    live.hurry();
    void readSessions();
  },
};

// Start -------------------------------------------------------------------------------------------

/** What events told last of builds. */
let buildsRevision = -1;

const live = new LiveEvents({
  ready() {
    void readSessions();
    void readThrown();
    if (model.tab === 'apps') void readCatalogue();
    // A build may have ended meanwhile.
    if (model.templates.length > 0) void readTemplates();
    // What goes on is told after this.
    if (model.builds.length > 0) dispatch({ type: 'builds', builds: [] });
  },
  catalogue: followPulls,
  builds({ revision, builds }) {
    dispatch({ type: 'builds', builds });
    // One has ended: what kinds of desktop lack may be something else.
    if (revision !== buildsRevision && model.templates.length > 0) void readTemplates();
    buildsRevision = revision;
  },
  session(session) {
    changes += 1;
    told.set(session.id, changes);
    dispatch({ type: 'session', session });
    const { dialog } = model;
    if (dialog?.kind === 'share' && dialog.session === session.id) {
      void readLinks(session.id);
      void readViewers(session.id);
    } else if (model.subject === session.id) void readViewers(session.id);
  },
  gone(id) {
    changes += 1;
    told.set(id, changes);
    dispatch({ type: 'gone', id });
    void readThrown();
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
  dispatch({ type: 'tab', tab: tabOf(), subject: subjectOf() });
  window.scrollTo(0, 0);
  queueMicrotask(begin);
  if (model.tab === 'people') void readUsers();
  if (model.tab === 'desktop') void readViewers(model.subject);
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
