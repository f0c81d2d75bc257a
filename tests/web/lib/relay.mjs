// @ts-check
/** A network that fails when it is told to: TCP connections to a server, passed on. */

import { connect, createServer } from 'node:net';

/** @typedef {import('node:net').Socket} Socket */

export class Relay {
  #server;
  #to;
  #isHole = false;
  /** Both ends of each connection. @type {Set<[near: Socket, far: Socket]>} */
  #pairs = new Set();

  /** @param {number} to the server's port */
  constructor(to) {
    this.#to = to;
    // Whether one end has closed is only told when the other is to hear of it.
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (near) => this.#join(near));
  }

  /** @param {number} to the server's port */
  static async start(to) {
    const relay = new Relay(to);
    await new Promise((resolve) => { relay.#server.listen(0, '127.0.0.1', () => resolve(null)); });
    return relay;
  }

  get port() {
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  get connections() {
    return this.#pairs.size;
  }

  /** From now on nothing arrives, in either direction, and nobody is told. */
  hole() {
    this.#isHole = true;
    for (const socket of [...this.#pairs].flat()) socket.pause();
  }

  /** What was sent meanwhile arrives late, as after a network's pause. */
  heal() {
    this.#isHole = false;
    for (const socket of [...this.#pairs].flat()) socket.resume();
  }

  /** All connections that there are break at once. */
  cut() {
    for (const socket of [...this.#pairs].flat()) socket.resetAndDestroy();
    this.#pairs.clear();
  }

  /** All connections that there are are forgotten: nothing arrives on them any more. New ones are good. */
  strand() {
    for (const socket of [...this.#pairs].flat()) socket.pause();
    this.#stranded.push(...[...this.#pairs].flat());
    this.#pairs.clear();
  }

  /** @type {Socket[]} */
  #stranded = [];

  end() {
    for (const socket of this.#stranded) socket.destroy();
    this.cut();
    this.#server.close();
  }

  /** @param {Socket} near */
  #join(near) {
    const far = connect({ port: this.#to, host: '127.0.0.1', allowHalfOpen: true });
    /** @type {[Socket, Socket]} */
    const pair = [near, far];
    this.#pairs.add(pair);
    for (const [from, to] of [[near, far], [far, near]]) {
      from.setNoDelay(true);
      // By hand: a pipe would resume what is paused.
      from.on('data', (data) => { to.write(data); });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        if (from.errored) to.destroy();
        if (near.destroyed && far.destroyed) this.#pairs.delete(pair);
      });
    }
    if (this.#isHole) far.pause();
    else near.resume();
  }
}
