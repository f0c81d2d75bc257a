/**
 * Which release of the pages is at work. Pages name their files below `static/@RELEASE/`, and every
 * answer of the server says its own, so a tab that was opened before an update learns of it. Pure.
 */

/** The header of the server's answers. */
export const RELEASE_HEADER = 'Lattice-Release';

/** The release that a script belongs to, or nothing where its address names none. @param {string} url */
export const releaseOf = (url) => /\/static\/@([0-9a-f]+)\//.exec(url)?.[1] ?? '';

/**
 * The server's release where it is another than the page's; nothing is said where either is unknown.
 * @param {string} own the page's
 * @param {string | null} told the server's
 */
export const newer = (own, told) => (own && told && told !== own ? told : '');
