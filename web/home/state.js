/**
 * What the home page shows: `apply` says what an event makes of it. Pure.
 *
 * INVARIANT: what belongs to a person who is signed in is forgotten when they no longer are. What is
 * known of the server stays.
 */

import { stateWord, t } from './words.js';

/** @import { Dialog, Event, Listed, Model, Session, Tab, User } from './types.js' */

const NOTHING_YET = Object.freeze({ items: null, problem: null });
const QUIET = Object.freeze({ busy: false, problem: null, retryAt: 0 });

/** @param {Tab} [tab] @param {string} [subject] @returns {Model} */
export function initial(tab = 'mine', subject = '') {
  return {
    phase: 'checking', now: 0, me: null, guest: null, problem: null, signIn: QUIET, tab, subject,
    sessions: NOTHING_YET, thrown: [], query: '', people: null, users: NOTHING_YET, templates: [], readmes: {}, live: { state: 'joining', retryAt: 0 }, shop: { known: null, problem: null }, pulls: [], builds: [],
    acting: new Set(), dialog: null, toast: null, said: '', update: '', putOff: '',
  };
}

/** @param {Model} before @param {Event} event @returns {Model} */
export function apply(before, event) {
  const model = event.now === undefined || event.now === before.now ? before : { ...before, now: event.now };
  switch (event.type) {
    case 'asked': return model.me ? model : { ...model, phase: 'checking', problem: null };
    case 'away': return { ...model, phase: 'away', problem: event.problem };
    case 'signed-in': return {
      ...model, phase: 'in', me: event.me, guest: null, problem: null, signIn: QUIET,
      tab: allowed(model.tab, event.me.role),
    };
    case 'signed-out': return {
      // Whoever has yet to sign in gets to where they wanted.
      ...(model.me ? initial() : initial(model.tab, model.subject)), now: model.now, update: model.update, putOff: model.putOff, phase: 'out', guest: event.guest, said: model.me ? t('signin.out') : model.phase === 'out' ? model.said : '',
    };
    case 'signing-in': return { ...model, signIn: { ...QUIET, busy: true } };
    case 'sign-in-failed': return {
      ...model,
      signIn: { busy: false, problem: event.problem, retryAt: model.now + event.problem.retryAfterS * 1000 },
    };
    case 'tab': return { ...model, subject: event.subject ?? '', people: model.subject === event.subject ? model.people : null, tab: model.me ? allowed(event.tab, model.me.role) : event.tab };
    case 'templates': return { ...model, templates: event.templates };
    case 'sessions': return { ...model, sessions: listed(newestFirst(event.sessions)) };
    case 'sessions-failed': return { ...model, sessions: { ...model.sessions, problem: event.problem } };
    case 'session': return changed(model, event.session);
    case 'gone': return {
      ...model, sessions: without(model.sessions, event.id), acting: minus(model.acting, event.id),
      dialog: isAbout(model.dialog, event.id) ? null : model.dialog,
    };
    case 'readme': return { ...model, readmes: { ...model.readmes, [event.template]: event.tokens } };
    case 'thrown': return { ...model, thrown: event.sessions };
    case 'query': return { ...model, query: event.query };
    case 'users': return { ...model, users: listed(byName(event.users)) };
    case 'users-failed': return { ...model, users: { ...model.users, problem: event.problem } };
    case 'user': return { ...model, users: listed(byName(put(model.users.items ?? [], event.user))) };
    case 'user-gone': return { ...model, users: without(model.users, event.id), acting: minus(model.acting, event.id) };
    case 'catalogue': return { ...model, shop: { known: event.known, problem: null }, pulls: event.known.pulls };
    case 'catalogue-failed': return { ...model, shop: { ...model.shop, problem: event.problem } };
    case 'pulls': return { ...model, pulls: event.pulls };
    case 'builds': return { ...model, builds: event.builds };
    case 'acting': return { ...model, acting: new Set([...model.acting, event.id]) };
    case 'acted': return { ...model, acting: minus(model.acting, event.id) };
    case 'live': return { ...model, live: event.live };
    case 'open': return { ...model, dialog: event.dialog };
    case 'close': return { ...model, dialog: null };
    case 'beginning': return model.dialog?.kind === 'new' ? { ...model, dialog: { ...model.dialog, ...event.change } } : model;
    case 'asking': return model.dialog ? { ...model, dialog: { ...model.dialog, busy: true, problem: null } } : model;
    case 'refused': return model.dialog?.kind === event.kind
      ? { ...model, dialog: { ...model.dialog, busy: false, problem: event.problem, ...(model.dialog.kind === 'new' && { step: /** @type {const} */ ('') }) } } : model;
    case 'links': return sharing(model, event.session, () => ({ links: newestFirst(event.links) }));
    case 'link-made': return sharing(model, event.session, ({ links }) => ({
      busy: false, problem: null, made: event.link, links: newestFirst(put(links ?? [], event.link)),
    }));
    case 'link-gone': return sharing(model, event.session, ({ links, made }) => ({
      links: links?.filter(({ id }) => id !== event.id) ?? null, made: made?.id === event.id ? null : made,
    }));
    case 'viewers': return {
      ...sharing(model, event.session, () => ({ viewers: event.viewers })), people: model.subject === event.session ? event.viewers : model.people,
    };
    case 'password-set': return model.me ? { ...model, me: { ...model.me, has_password: true } } : model;
    case 'toast': return {
      ...model, said: event.text,
      toast: { text: event.text, tone: event.tone ?? '', undo: event.undo ?? '', id: (model.toast?.id ?? 0) + 1 },
    };
    case 'toast-over': return model.toast?.id === event.id ? { ...model, toast: null } : model;
    case 'update': return { ...model, update: event.release };
    case 'update-put-off': return { ...model, putOff: model.update };
    case 'tick': return model;
  }
}

/** @param {Model} model @param {Session} session @returns {Model} */
function changed(model, session) {
  const before = model.sessions.items?.find(({ id }) => id === session.id);
  const isNews = before !== undefined && before.state !== session.state
    && ['running', 'queued', 'idle', 'stopped', 'failed'].includes(session.state);
  return {
    ...model,
    sessions: listed(newestFirst(put(model.sessions.items ?? [], session))),
    thrown: model.thrown.filter(({ id }) => id !== session.id),
    said: isNews ? `${titled(session)}: ${stateWord(session.state)}` : model.said,
  };
}

/** A dialog of sharing this session, changed. @param {Model} model @param {string} session @param {(dialog: Extract<Dialog, { kind: 'share' }>) => object} change @returns {Model} */
function sharing(model, session, change) {
  const { dialog } = model;
  if (dialog?.kind !== 'share' || dialog.session !== session) return model;
  return { ...model, dialog: { ...dialog, ...change(dialog) } };
}

/** @param {Dialog | null} dialog @param {string} session */
const isAbout = (dialog, session) => dialog !== null && 'session' in dialog && dialog.session === session;

/** @param {Tab} tab @param {'member' | 'admin'} role @returns {Tab} */
const allowed = (tab, role) => (role === 'admin' || tab === 'desktop' || tab === 'apps' ? tab : 'mine');

/** @template T @param {readonly T[]} items @returns {Listed<T>} */
const listed = (items) => ({ items, problem: null });

/** @template {{ id: string }} T @param {readonly T[]} items @param {T} item */
const put = (items, item) => [...items.filter(({ id }) => id !== item.id), item];

/** @template {{ id: string }} T @param {Listed<T>} list @param {string} gone @returns {Listed<T>} */
const without = (list, gone) => ({ ...list, items: list.items?.filter(({ id }) => id !== gone) ?? null });

/** @param {ReadonlySet<string>} set @param {string} item */
const minus = (set, item) => new Set([...set].filter((other) => other !== item));

/** @template {{ id: string, created_at: string }} T @param {readonly T[]} items */
const newestFirst = (items) => [...items].sort((a, b) => (
  Date.parse(b.created_at) - Date.parse(a.created_at) || (a.id < b.id ? -1 : 1)));

/** @param {readonly User[]} users */
const byName = (users) => [...users].sort((a, b) => called(a).localeCompare(called(b)) || (a.id < b.id ? -1 : 1));

/** What a desktop is called. @param {{ name: string }} session */
export const titled = ({ name }) => name || t('desktops.one');

/** What a person is called. @param {{ name: string, display_name: string }} person */
export const called = ({ name, display_name: display }) => display || name;

// What views show of it -----------------------------------------------------------------------------

/** @param {Model} model */
export const mine = ({ sessions }) => sessions.items?.filter(({ role }) => role === 'owner') ?? [];

/** @param {Model} model */
export const shared = ({ sessions }) => (
  sessions.items?.filter(({ role }) => role === 'view' || role === 'assist' || role === 'control') ?? []);

/**
 * Those of them that match what is looked for: each of its words, somewhere.
 * @param {Model} model
 * @param {readonly Session[]} sessions
 */
export function found({ query, templates }, sessions) {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return sessions;
  return sessions.filter(({ name, template, owner }) => {
    const kind = templates.find(({ id }) => id === template)?.title ?? '';
    const text = [titled({ name }), template, kind, owner.name, owner.display_name].join('\n').toLocaleLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** @param {Model} model @param {string} id */
export const sessionOf = ({ sessions }, id) => sessions.items?.find((session) => session.id === id) ?? null;
