/** The way in: a link's secret for a cookie, and whether the session may be looked at. */

import { RELEASE_HEADER } from '../client/release.js';

/** @import { CheckResult } from '../client/session.js' */

/**
 * @typedef {{ result: CheckResult, detail: string, release: string | null }} Answer `detail`: the server's
 *   words where it refuses; `release`: of its pages
 */

const PATIENCE_MS = 8000;

/** The session that this page's address names. */
const sessionId = () => decodeURIComponent(location.pathname.split('/').filter(Boolean).at(-1) ?? '');

/** Whether this server has a page of its people's desktops: one that shares a single display has not. */
export const hasHome = () => sessionId() !== 'share';

/** Where the desktop's own page is, for whoever owns it; nothing where the server has none. */
export const pageOf = () => (hasHome() ? new URL(`../#desktop/${encodeURIComponent(sessionId())}`, location.href).href : null);

/** The WebSocket's absolute address: a worker does not know the page's. */
export function socketUrl() {
  const url = new URL(`../ws/${encodeURIComponent(sessionId())}`, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.hash = '';
  url.search = '';
  return url.href;
}

/** The link's secret, until it has been swapped. */
export class Gate {
  #secret = '';
  /** The answer to a question that nobody has asked yet. @type {Promise<Answer> | null} */
  #ahead = null;

  /** Takes over the secret in the address, if there is one. */
  takeSecret() {
    this.#secret = location.hash.slice(1) || this.#secret;
    return location.hash.length > 1;
  }

  /** Asks now what the next `check` is going to. */
  askAhead() {
    this.#ahead = this.#check();
  }

  /** @returns {Promise<Answer>} */
  check() {
    const answer = this.#ahead ?? this.#check();
    this.#ahead = null;
    return answer;
  }

  /** @returns {Promise<Answer>} */
  async #check() {
    if (!this.#secret) return this.#ask(`../api/v1/sessions/${encodeURIComponent(sessionId())}`, {});
    const swapped = await this.#ask('../api/v1/share', {
      method: 'POST', headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token: this.#secret }),
    });
    // One that was not even looked at is good for another try, also at another address.
    if (['ok', 'denied'].includes(swapped.result)) {
      this.#secret = '';
      // Used or useless now: it shall be in no screenshot, history or bookmark.
      history.replaceState(history.state, '', location.pathname + location.search);
    }
    return swapped;
  }

  /** @param {string} path @param {RequestInit} request @returns {Promise<Answer>} */
  async #ask(path, request) {
    try {
      const response = await fetch(path, {
        ...request, credentials: 'same-origin', cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const result = meaning(response.status);
      const release = response.headers.get(RELEASE_HEADER);
      return { result, detail: result === 'refused' ? await said(response) : '', release };
    } catch {
      return { result: 'unreachable', detail: '', release: null };
    }
  }
}

/** The server's own words on what is wrong and how to mend it (RFC 9457). @param {Response} response */
async function said(response) {
  const { detail } = await response.json().catch(() => ({}));
  return typeof detail === 'string' ? detail : '';
}

/** What a status means for the way in. @param {number} status @returns {CheckResult} */
export function meaning(status) {
  if (status >= 200 && status < 300) return 'ok';
  if (status === 408 || status === 429 || status >= 500) return 'busy';
  if (status === 401) return 'denied';
  return status === 404 || status === 410 ? 'missing' : 'refused';
}

/** Whether pages of this host are reached without any network. @param {string} hostname as in `location` */
export function isLoopback(hostname) {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '[::1]'
    || /^127(\.\d{1,3}){3}$/.test(hostname);
}
