/** Takes the secret of `/s/<token>` out of the address, before anything else runs. */

/** Where the server's pages are. */
export const base = new URL('../', location.href).href;

/** Nothing, where the page was loaded again without it. */
export const secret = decoded(location.pathname.slice(location.pathname.lastIndexOf('/') + 1));

// In no screenshot, history or bookmark, and not in what the page names as where it is.
history.replaceState(null, '', new URL('s/', base));

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}
