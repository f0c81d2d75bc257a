/** Takes the secret of `/enter#<token>` out of the address, before anything else runs. */

/** Where the server's pages are. */
export const base = new URL('.', location.href).href;

/** Nothing, where the page was loaded again without it. */
export const secret = location.hash.slice(1);

/** Where to go then: a desktop, as the server that printed the address named it. */
export const next = new URLSearchParams(location.search).get('next');

history.replaceState(null, '', location.pathname);
