/** Asks the server, and gives its answer or what is wrong as a value. */

import { RELEASE_HEADER } from '../client/release.js';
import { AWAY, problemOf } from './problems.js';

/** @import { Answer } from './types.js' */

const PATIENCE_MS = 15_000;

export class Api {
  #root;
  #onRelease;

  /**
   * @param {string} base where the server's pages are, absolute
   * @param {(release: string | null) => void} [onRelease] is told with each answer of which release the server is
   */
  constructor(base, onRelease = () => {}) {
    this.#root = new URL('api/v1/', base);
    this.#onRelease = onRelease;
  }

  /** Where changes are told. @param {string} path */
  url(path) {
    return new URL(path, this.#root).href;
  }

  /**
   * @template T
   * @param {'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} method
   * @param {string} path below `/api/v1/`
   * @param {object} [body]
   * @param {number} [patienceMs]
   * @param {AbortSignal} [signal]
   * @returns {Promise<Answer<T>>} the value of an answer without a body is null
   */
  ask(method, path, body, patienceMs = PATIENCE_MS, signal = undefined) {
    return this.#send(method, path, body, patienceMs, (response) => response.json().catch(() => null), signal);
  }

  /** What is in a file. @param {string} path below `/api/v1/` @returns {Promise<Answer<Uint8Array<ArrayBuffer>>>} */
  read(path) {
    return this.#send('GET', path, undefined, PATIENCE_MS, async (response) => new Uint8Array(await response.arrayBuffer()));
  }

  /**
   * @template T
   * @param {string} method
   * @param {string} path
   * @param {object | undefined} body
   * @param {number} patienceMs
   * @param {(response: Response) => Promise<T>} read
   * @param {AbortSignal} [signal]
   * @returns {Promise<Answer<T>>}
   */
  async #send(method, path, body, patienceMs, read, signal) {
    try {
      const response = await fetch(new URL(path, this.#root), {
        method, credentials: 'same-origin', cache: 'no-store',
        signal: AbortSignal.any([AbortSignal.timeout(patienceMs), ...(signal ? [signal] : [])]),
        ...(body && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
      });
      this.#onRelease(response.headers.get(RELEASE_HEADER));
      if (response.ok) return { ok: true, value: await read(response) };
      const said = await response.json().catch(() => null);
      return { ok: false, problem: problemOf(response.status, said, response.headers.get('Retry-After')) };
    } catch {
      return { ok: false, problem: AWAY };
    }
  }

  /**
   * Sends a file, and tells how much of it has gone. There is no other way to hear that of a browser.
   * @template T
   * @param {string} path below `/api/v1/`
   * @param {Blob} file
   * @param {(sent: number) => void} onSent
   * @param {AbortSignal} signal
   * @returns {Promise<Answer<T>>}
   */
  send(path, file, onSent, signal) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      const away = () => resolve({ ok: false, problem: AWAY });
      request.open('POST', new URL(path, this.#root));
      request.responseType = 'json';
      request.setRequestHeader('Content-Type', 'application/zip');
      request.upload.onprogress = ({ loaded }) => onSent(loaded);
      request.onload = () => {
        const { status, response } = request;
        this.#onRelease(request.getResponseHeader(RELEASE_HEADER));
        if (status >= 200 && status < 300) resolve({ ok: true, value: response });
        else resolve({ ok: false, problem: problemOf(status, response, request.getResponseHeader('Retry-After')) });
      };
      request.onerror = away;
      request.onabort = away;
      signal.addEventListener('abort', () => request.abort(), { once: true });
      request.send(file);
    });
  }

  /**
   * The newest picture of a desktop, as its agent wrote it: judge it before decoding it. `bytes` is nothing
   * where there is none, all of it where the server did not say.
   * @param {string} session
   * @returns {Promise<{ bytes: Uint8Array<ArrayBuffer> | null, number: number | null } | null>}
   */
  async picture(session) {
    try {
      const url = new URL(path('sessions', session, 'picture'), this.#root);
      const response = await fetch(url, { credentials: 'same-origin', cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
      const length = Number(response.headers.get('Content-Length') ?? Infinity);
      const number = /^"(\d+)"$/.exec(response.headers.get('ETag') ?? '')?.[1];
      if (response.status !== 200 || !(length > 0 && length <= MOST_PICTURE)) {
        await response.body?.cancel();
        return response.status >= 500 ? null : { bytes: null, number: null };
      }
      return { bytes: new Uint8Array(await response.arrayBuffer()), number: number === undefined ? null : Number(number) };
    } catch {
      return null;
    }
  }
}

/** The largest picture that is read, in bytes: the server has none that are larger. */
const MOST_PICTURE = 288 << 10;

/** A path whose parts may hold anything. @param {...string} parts */
export const path = (...parts) => parts.map(encodeURIComponent).join('/');
