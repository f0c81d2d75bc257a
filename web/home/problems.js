/** What a refusal means (RFC 9457), and the sentence for it. Pure. */

/** @import { Problem, Trouble } from './types.js' */

/** How often is too often is the server's to say; where it does not, this. */
const WAIT_S = 5;

/** Nothing answered. @type {Problem} */
export const AWAY = Object.freeze({ trouble: 'away', status: 0, title: '', detail: '', type: '', retryAfterS: 0 });

/**
 * @param {number} status
 * @param {unknown} body the answer's JSON, or anything else
 * @param {string | null} retryAfter the header
 * @returns {Problem}
 */
export function problemOf(status, body, retryAfter) {
  const said = typeof body === 'object' && body !== null ? /** @type {Record<string, unknown>} */ (body) : {};
  const trouble = troubleOf(status);
  return {
    trouble, status, title: text(said.title), detail: text(said.detail), type: text(said.type),
    retryAfterS: seconds(retryAfter) ?? (trouble === 'slow-down' ? WAIT_S : 0),
  };
}

/** @param {unknown} value */
const text = (value) => (typeof value === 'string' ? value : '');

/** @param {string | null} header */
const seconds = (header) => (header !== null && /^\d{1,6}$/.test(header.trim()) ? Number(header) : null);

/** @param {number} status @returns {Trouble} */
function troubleOf(status) {
  if (status === 401) return 'signed-out';
  if (status === 403) return 'forbidden';
  if (status === 404 || status === 410) return 'missing';
  if (status === 429) return 'slow-down';
  // No room is left: the server says where to make some.
  if (status === 507) return 'wrong';
  if (status === 408 || status === 502 || status === 503 || status === 504) return 'busy';
  return status >= 400 && status < 500 ? 'wrong' : 'broken';
}

/** @type {Readonly<Record<Trouble, string>>} */
const SENTENCES = {
  away: 'The server does not answer. Check the network, then try again.',
  busy: 'The server is busy or restarting. Try again in a moment.',
  'slow-down': 'That was too often. Wait a little, then try again.',
  'signed-out': 'You are no longer signed in. Load the page again to sign in.',
  forbidden: 'You may not do this. Ask an administrator.',
  missing: 'It is not there any more.',
  wrong: 'The server did not accept this.',
  broken: 'Something went wrong on the server. Try again, and tell an administrator if it stays so.',
};

/** What a person reads about a problem. The server's own words go first where they say more. @param {Problem} problem */
export function sentence({ trouble, detail }) {
  const isPlain = trouble === 'wrong' || trouble === 'forbidden';
  return detail && isPlain ? asSentence(detail) : SENTENCES[trouble];
}

/** @param {Problem} problem */
export function signInSentence(problem) {
  switch (problem.trouble) {
    case 'signed-out': return 'The name or the password is not right. Check capital letters, too.';
    case 'forbidden': return problem.detail ? asSentence(problem.detail) : 'This account is switched off. Ask an administrator.';
    case 'slow-down': return 'Too many tries.';
    default: return sentence(problem);
  }
}

/** With a capital letter and a full stop, and without the marks of code. @param {string} words */
export function asSentence(words) {
  const trimmed = words.replaceAll('\u0060', '').trim();
  const first = [...trimmed][0] ?? '';
  return first.toUpperCase() + trimmed.slice(first.length) + (/[.!?…]$/.test(trimmed) ? '' : '.');
}

/** @typedef {'expired' | 'revoked' | 'used-up' | 'unknown' | 'slow-down' | 'away' | 'refused'} LinkTrouble */

/**
 * Why a link or a one-time sign-in opens nothing. The server may say so by the problem's type or in
 * words; where it names no reason, or several, none is guessed.
 * @param {Problem} problem
 * @returns {LinkTrouble}
 */
export function linkTrouble({ trouble, type, title, detail }) {
  if (trouble === 'slow-down') return 'slow-down';
  if (trouble === 'away' || trouble === 'busy' || trouble === 'broken') return 'away';
  for (const words of [type, title, detail]) {
    const reasons = REASONS.filter(([, pattern]) => pattern.test(words)).map(([reason]) => reason);
    if (reasons.length === 1) return reasons[0] ?? 'unknown';
    if (reasons.length > 1) return 'unknown';
  }
  return trouble === 'missing' || trouble === 'signed-out' ? 'unknown' : 'refused';
}

/** @type {readonly (readonly [LinkTrouble, RegExp])[]} */
const REASONS = [
  ['expired', /expire/i],
  ['revoked', /revoke|withdrawn/i],
  ['used-up', /used|uses/i],
];
