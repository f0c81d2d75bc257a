/** What is asked of the server about apps that can be installed. The answers become events. */

import { path } from './api.js';
import { t } from './words.js';

/** @import { Api } from './api.js' */
/** @import { AppDialog, Audience, CatalogueApp, Catalogues } from './apps.js' */
/** @import { Answer, Event, Model, Problem } from './types.js' */

/**
 * @typedef {{
 *   api: Api, model: () => Model, dispatch: (event: Event) => void, say: (text: string) => void,
 *   taken: <T>(answer: Answer<T>, refuse: (problem: Problem) => void) => { value: T } | null,
 * }} Tools
 */

/** So that a rollback may have to fetch what was removed meanwhile. */
const PATIENCE_MS = 600_000;

/** @param {Tools} tools */
export function catalogue({ api, model, dispatch, say, taken }) {
  /** The revision that events told last. */
  let revision = -1;

  async function readCatalogue() {
    /** @type {Answer<Catalogues>} */
    const answer = await api.ask('GET', 'catalogue');
    if (model().phase !== 'in') return;
    const got = taken(answer, (problem) => dispatch({ type: 'catalogue-failed', problem }));
    if (got) dispatch({ type: 'catalogue', known: got.value });
  }

  /** What is under way has changed. @param {{ revision: number, pulls: Catalogues['pulls'] }} told */
  function followPulls(told) {
    dispatch({ type: 'pulls', pulls: told.pulls });
    if (told.revision === revision) return;
    revision = told.revision;
    if (model().tab === 'apps') void readCatalogue();
  }

  /** @param {CatalogueApp} app @param {AppDialog['verb']} verb @param {Audience} audience */
  const openApp = (app, verb, audience) => dispatch({ type: 'open', dialog: { kind: 'app', verb, app, audience, busy: false, problem: null } });

  /** Does what the dialog asks about. @param {Audience} audience */
  async function settleApp(audience) {
    const { dialog } = model();
    if (dialog?.kind !== 'app' || dialog.busy) return;
    const { app, verb } = dialog;
    dispatch({ type: 'asking' });
    const whose = path('catalogue', app.catalogue, app.app, audience === 'me' ? 'mine' : 'everybody');
    /** @type {Answer<null>} */
    const answer = await (verb === 'remove' ? api.ask('DELETE', whose)
      : verb === 'rollback' ? api.ask('POST', `${whose}/rollback`, undefined, PATIENCE_MS)
        : api.ask('POST', whose, { edition: app.offer?.edition ?? '' }));
    if (!taken(answer, (problem) => dispatch({ type: 'refused', kind: 'app', problem }))) {
      void readCatalogue();
      return;
    }
    dispatch({ type: 'close' });
    if (verb === 'remove') say(t('apps.removed', { name: app.title }));
    if (verb === 'rollback') say(t('apps.rolled-back', { name: app.title }));
    await readCatalogue();
  }

  return { readCatalogue, followPulls, openApp, settleApp };
}
