/**
 * What takes longest is begun first, before the page is built: the worker that has the picture and the
 * socket, the question whether the session may be looked at, and what the browser can do.
 */

import { releaseOf } from '../client/release.js';
import { findH264 } from './abilities.js';
import { Gate } from './gate.js';

/** Only this one script may become a worker. @returns {Worker} */
function startWorker() {
  const url = new URL('../media/worker.js', import.meta.url).href;
  const policy = window.trustedTypes?.createPolicy('lattice', {
    createScriptURL(asked) {
      if (asked !== url) throw new TypeError('not a script of the viewer');
      return asked;
    },
  });
  return new Worker(policy ? policy.createScriptURL(url) : url, { type: 'module' });
}

/** The page's worker. What it is told before it has loaded waits for it. */
export const worker = startWorker();

/** The release that this page is of. */
export const ownRelease = releaseOf(import.meta.url);

/** The way in; its first question has been asked. */
export const gate = new Gate();
gate.takeSecret();
gate.askAhead();

/** The browser is asked once. */
export const h264Found = findH264(location.search);
