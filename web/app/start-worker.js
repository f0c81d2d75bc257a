/** The worker that has the picture and the socket. */

/** Only this one script may become a worker. @returns {Worker} */
export function startWorker() {
  const url = new URL('../media/worker.js', import.meta.url).href;
  const policy = window.trustedTypes?.createPolicy('lattice', {
    createScriptURL(asked) {
      if (asked !== url) throw new TypeError('not a script of the viewer');
      return asked;
    },
  });
  return new Worker(policy ? policy.createScriptURL(url) : url, { type: 'module' });
}
