/**
 * The worker that has the picture and the socket. It starts when this module is first met, which the
 * page does before everything else: its modules load while the page's own do.
 */

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
