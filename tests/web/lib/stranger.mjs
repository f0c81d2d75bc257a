// @ts-check
/** A site of somebody else, on this machine: for what its pages can do to ours. */

import { createServer } from 'node:http';

export class Stranger {
  #server;
  /** What its page holds. */
  body = '';

  constructor() {
    this.#server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end(`<!doctype html><title>A stranger</title><body>${this.body}`);
    });
  }

  static async start() {
    const stranger = new Stranger();
    await new Promise((resolve) => { stranger.#server.listen(0, '127.0.0.1', () => resolve(null)); });
    return stranger;
  }

  /** Its address. By `127.0.0.1` it is another origin of the same site, which gets cookies; by `localhost` another site. @param {string} host */
  at(host = '127.0.0.1') {
    const address = this.#server.address();
    return `http://${host}:${typeof address === 'object' && address ? address.port : 0}/`;
  }

  end() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
