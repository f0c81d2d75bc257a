/**
 * A new desktop, and what it begins with: nothing, a zip file or a Git repository. The files come first, as
 * a folder in Data of their own; then the desktop starts.
 */

import { t } from './words.js';

/** @import { Api } from './api.js' */
/** @import { Answer, Event, Imported, Model, Problem, Session } from './types.js' */

/** @typedef {{ template: string, name: string, url: string, file: File | null }} Wanted */

/** The largest zip file that the server takes, in bytes. */
const MOST = 256 * 1024 * 1024;
/** A clone has two minutes, and what was cloned is unpacked then. */
const CLONE_PATIENCE_MS = 8 * 60_000;

/**
 * @param {{
 *   api: Api, model: () => Model, dispatch: (event: Event) => void, say: (text: string) => void, complain: (problem: Problem) => void,
 *   taken: <T>(answer: Answer<T>, refuse: (problem: Problem) => void) => { value: T } | null, started: (session: Session) => void,
 * }} page
 */
export function beginnings({ api, model, dispatch, say, complain, taken, started }) {
  /** What is under way. @type {AbortController | null} */
  let work = null;

  /** @param {Problem} problem */
  const refuse = (problem) => (model().dialog ? dispatch({ type: 'refused', kind: 'new', problem }) : complain(problem));
  const dialog = () => {
    const { dialog: open } = model();
    return open?.kind === 'new' ? open : null;
  };

  /** @param {Wanted} wanted */
  async function begin({ template, name, url, file }) {
    const open = dialog();
    if (!open || open.busy) return;
    const { origin, made } = open;
    dispatch({ type: 'asking' });
    const of = origin === 'git' ? url : `${file?.name} ${file?.size} ${file?.lastModified}`;
    let folder = origin !== 'nothing' && made?.of === of ? made.folder : '';
    if (origin !== 'nothing' && folder === '') {
      const own = new AbortController();
      work = own;
      const answer = await (origin === 'git' ? clone(url, own.signal) : send(file, own.signal));
      if (work !== own) return;
      work = null;
      const got = taken(answer, refuse);
      if (!got) return;
      ({ folder } = got.value);
      dispatch({ type: 'beginning', change: { made: { folder, of } } });
    }
    await create(template, name || folder);
    if (folder !== '' && !model().dialog) say(t('new.imported', { folder }));
  }

  /** @param {string} url @param {AbortSignal} signal @returns {Promise<Answer<Imported>>} */
  function clone(url, signal) {
    dispatch({ type: 'beginning', change: { step: 'cloning' } });
    return api.ask('POST', 'imports/git', { url }, CLONE_PATIENCE_MS, signal);
  }

  /** @param {File | null} file @param {AbortSignal} signal @returns {Promise<Answer<Imported>>} */
  async function send(file, signal) {
    if (!file || file.size > MOST) {
      const detail = t(file ? 'new.too-large' : 'new.no-file');
      return { ok: false, problem: { trouble: 'wrong', status: 0, title: '', detail, type: '', retryAfterS: 0 } };
    }
    dispatch({ type: 'beginning', change: { step: 'sending', sent: 0, total: file.size } });
    return api.send(`imports/zip?${new URLSearchParams({ name: file.name })}`, file, (sent) => {
      if (!signal.aborted) dispatch({ type: 'beginning', change: { sent, step: sent < file.size ? 'sending' : 'unpacking' } });
    }, signal);
  }

  /** @param {string} template @param {string} name */
  async function create(template, name) {
    dispatch({ type: 'asking' });
    dispatch({ type: 'beginning', change: { step: 'starting' } });
    dispatch({ type: 'acting', id: 'new' });
    /** @type {Answer<Session>} */
    const answer = await api.ask('POST', 'sessions', { template, ...(name && { name: name.slice(0, 64) }) });
    dispatch({ type: 'acted', id: 'new' });
    const got = taken(answer, refuse);
    if (!got) return;
    started(got.value);
    dispatch({ type: 'close' });
  }

  /** Back to what was filled in; nothing is left of what was under way. */
  function stopBeginning() {
    work?.abort();
    work = null;
    dispatch({ type: 'beginning', change: { busy: false, step: '', problem: null } });
  }

  return { begin, create, stopBeginning };
}
