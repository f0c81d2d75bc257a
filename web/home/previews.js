/** Addresses of previews, which come from outside and are not believed. Pure. */

/** @typedef {{ session: string, port: number, to: string }} Preview `to`: a path of the preview's own */

/**
 * Which preview a page of ours is to open; nothing where its address names none.
 * @param {string} pathname `…/preview/<session>/<port>` @param {string | null} to
 * @returns {Preview | null}
 */
export function previewAt(pathname, to) {
  const [, session, port] = /\/preview\/([a-z0-9]{1,64})\/([1-9]\d{0,4})\/?$/.exec(pathname) ?? [];
  if (!session || !port || Number(port) > 65_535) return null;
  const isPath = to !== null && /^\/(?![/\\])[!-~]*$/.test(to) && !to.includes('\\');
  return { session, port: Number(port), to: isPath ? to : '/' };
}

/**
 * Where a link to one preview leads: to the entrance of an address that is a preview's, or nowhere.
 * @param {unknown} url
 */
export function entranceAt(url) {
  if (typeof url !== 'string' || !URL.canParse(url)) return null;
  const { protocol, hostname, pathname, href } = new URL(url);
  const isWeb = protocol === 'http:' || protocol === 'https:';
  return isWeb && /^[1-9]\d{0,4}--[a-z0-9]{1,64}\./.test(hostname) && pathname.startsWith('/.lattice/enter/') ? href : null;
}

/**
 * Where to go with the ticket that the server gave: to an address of that very preview, or nowhere.
 * @param {unknown} url @param {Preview} preview
 */
export function entranceOf(url, { session, port, to }) {
  if (typeof url !== 'string' || !URL.canParse(url)) return null;
  const entrance = new URL(url);
  const isWeb = entrance.protocol === 'http:' || entrance.protocol === 'https:';
  if (!isWeb || !entrance.hostname.startsWith(`${port}--${session}.`)) return null;
  if (to !== '/') entrance.searchParams.set('to', to);
  return entrance.href;
}
