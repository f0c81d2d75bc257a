/** Where things are, whatever the page's own address has become. Pure. */

/** @param {string} base absolute, ends with `/` @param {string} id a session's */
export const desktopUrl = (base, id) => new URL(`d/${encodeURIComponent(id)}`, base).href;

/** @param {string} base absolute, ends with `/` @param {string} id a session's @param {number} port that an app declares */
export const previewUrl = (base, id, port) => new URL(`preview/${encodeURIComponent(id)}/${port}`, base).href;

/**
 * Where a path that the server named leads: a desktop on this very server, or nowhere.
 * @param {string} base absolute, ends with `/`
 * @param {unknown} path
 */
export function desktopAt(base, path) {
  const id = typeof path === 'string' ? /^(?:.*\/)?d\/([a-z0-9-]{1,64})$/i.exec(path)?.[1] : undefined;
  return id === undefined ? null : desktopUrl(base, id);
}
