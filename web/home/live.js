/** Changes as they happen, by server-sent events; made anew whenever they end. */

import { backoffMs } from './backoff.js';

/** @import { Live, Session } from './types.js' */

/**
 * @typedef {{ ready(): void, session(session: Session): void, gone(id: string): void,
 *   catalogue(told: { revision: number, pulls: readonly import('./apps.js').Pull[] }): void,
 *   builds(told: { revision: number, builds: readonly import('./types.js').Build[] }): void,
 *   state(live: Live): void, lost(): void }} Listener
 *   `ready`: what was read before may be old. `lost`: perhaps nobody is signed in any more.
 */

/** A connection that has lasted this long was a good one. */
const GOOD_MS = 5000;

export class LiveEvents {
  #url = '';
  #listener;
  /** @type {EventSource | null} */
  #source = null;
  #failures = 0;
  #timer = 0;
  #openedAt = 0;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /** @param {string} url */
  start(url) {
    if (this.#source) return;
    this.#url = url;
    this.#connect();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    this.#failures = 0;
  }

  /** The network is back, or somebody looks again. */
  hurry() {
    if (this.#source?.readyState !== EventSource.CLOSED) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  #connect() {
    const source = new EventSource(this.#url);
    this.#source = source;
    source.addEventListener('ready', () => {
      this.#openedAt = performance.now();
      this.#listener.state({ state: 'on', retryAt: 0 });
      this.#listener.ready();
    });
    source.addEventListener('session', ({ data }) => {
      const session = parsed(data);
      if (typeof session?.id === 'string') this.#listener.session(/** @type {Session} */ (/** @type {unknown} */ (session)));
    });
    source.addEventListener('gone', ({ data }) => {
      const id = parsed(data)?.id;
      if (typeof id === 'string') this.#listener.gone(id);
    });
    source.addEventListener('catalogue', ({ data }) => {
      const told = parsed(data);
      if (Array.isArray(told?.pulls) && typeof told.revision === 'number') this.#listener.catalogue({ revision: told.revision, pulls: told.pulls });
    });
    source.addEventListener('builds', ({ data }) => {
      const told = parsed(data);
      if (Array.isArray(told?.builds) && typeof told.revision === 'number') this.#listener.builds({ revision: told.revision, builds: told.builds });
    });
    source.onerror = () => this.#onError(source);
  }

  /** The browser's own way to connect again has no patience and gives up for ever on a 503. @param {EventSource} source */
  #onError(source) {
    if (source !== this.#source) return;
    source.close();
    const lasted = this.#openedAt > 0 && performance.now() - this.#openedAt > GOOD_MS;
    this.#openedAt = 0;
    this.#failures = lasted ? 1 : this.#failures + 1;
    const wait = backoffMs(this.#failures, Math.random());
    this.#listener.state({ state: 'lost', retryAt: Date.now() + wait });
    this.#listener.lost();
    if (source === this.#source) this.#timer = setTimeout(() => this.#connect(), wait);
  }
}

/** @param {string} data @returns {Record<string, unknown> | null} */
function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
