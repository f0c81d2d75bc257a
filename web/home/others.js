/** What is asked of the server about other people: links, who looks, accounts. The answers become events. */

import { path } from './api.js';
import { called } from './state.js';
import { t } from './words.js';

/** @import { Api } from './api.js' */
/** @import { Answer, Event, Link, LinkRole, Model, Problem, User, Viewer } from './types.js' */

/**
 * @typedef {{
 *   api: Api, model: () => Model, dispatch: (event: Event) => void, say: (text: string) => void, complain: (problem: Problem) => void,
 *   taken: <T>(answer: Answer<T>, refuse: (problem: Problem) => void) => { value: T } | null,
 * }} Tools
 */

/** @param {Tools} tools */
export function others({ api, model, dispatch, say, complain, taken }) {
  /** @param {string | null} session null for another link of the same */
  function openShare(session) {
    const { dialog } = model();
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
    say(t('page.revoked'));
    queueMicrotask(() => document.getElementById('links-title')?.focus());
  }

  /** @param {string} session @param {number | null} to */
  async function giveControl(session, to) {
    const answer = await api.ask('POST', path('sessions', session, 'control'), { to });
    if (taken(answer, complain)) void readViewers(session);
  }

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
    say(t(disabled ? 'people.is-off' : 'people.is-on', { name: called(user) }));
  }

  /** @param {User} user */
  async function removePerson(user) {
    dispatch({ type: 'asking' });
    const answer = await api.ask('DELETE', path('users', user.id));
    const isGone = answer.ok || answer.problem.trouble === 'missing';
    if (!isGone && !taken(answer, (problem) => dispatch({ type: 'refused', kind: 'delete-person', problem }))) return;
    dispatch({ type: 'user-gone', id: user.id });
    dispatch({ type: 'close' });
    say(t('bin.done', { name: called(user) }));
  }

  return { openShare, readLinks, readViewers, makeLink, revoke, giveControl, readUsers, addPerson, setDisabled, removePerson };
}
