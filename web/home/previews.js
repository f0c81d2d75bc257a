/** Addresses of previews, which come from outside and are not believed. Pure. */

/** @typedef {{ session: string, port: number, to: string }} Preview `to`: a path of the preview's own */
/** @typedef {{ readonly hostname: string, readonly port: string }} Here where the page is that goes there */

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
 * @param {unknown} url @param {Here} here
 */
export const entranceAt = (url, here) => entrance(url, here, /^[1-9]\d{0,4}--[a-z0-9]{1,64}\./)?.href ?? null;

/**
 * An entrance by a name that is a preview's, or by another port of this very host.
 * @param {unknown} url @param {Here} here @param {RegExp} name
 */
function entrance(url, here, name) {
  if (typeof url !== 'string' || !URL.canParse(url)) return null;
  const found = new URL(url);
  const isWeb = found.protocol === 'http:' || found.protocol === 'https:';
  const isOther = found.hostname === here.hostname && found.port !== here.port;
  return isWeb && (name.test(found.hostname) || isOther) && found.pathname.startsWith('/.lattice/enter/') ? found : null;
}

/**
 * Where to go with the ticket that the server gave: to an address of that very preview, or nowhere.
 * @param {unknown} url @param {Preview} preview @param {Here} here
 */
export function entranceOf(url, { session, port, to }, here) {
  const found = entrance(url, here, new RegExp(`^${port}--${session}\\.`));
  if (found && to !== '/') found.searchParams.set('to', to);
  return found?.href ?? null;
}
