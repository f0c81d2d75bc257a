// @ts-check
/**
 * A gateway that says what the real one rarely does: it passes HTTP on to a real one under that one's
 * own name, gives itself out for another release, and answers WebSockets itself, if it is told to.
 */

import { createHash } from 'node:crypto';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { decodeClient } from './mirror.mjs';

const WEBSOCKET = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** @typedef {import('node:net').Socket} Socket */
/** @typedef {{ address: string }} Behind a share or a serve */

export class Impostor {
  #server;
  /** Answers a viewer's socket; without it, sockets are the share's. @type {((viewer: Viewer) => void) | null} */
  answer = null;
  /** Tells the share where requests really come from, so that it turns them away. */
  isCandid = false;
  /** Gives itself and its pages out as of this release. @type {string | null} */
  release = null;

  /** @param {Behind} share */
  constructor(share) {
    this.#server = createServer((incoming, outgoing) => {
      const [host, port] = share.address.split(':');
      const headers = this.isCandid ? candid(incoming.headers, share) : disguised(incoming.headers, share);
      if (this.release !== null) {
        delete headers['accept-encoding'];
        delete headers['if-none-match'];
      }
      const onward = request({ host, port, path: incoming.url, method: incoming.method, headers }, (answer) => {
        answer.on('error', () => outgoing.destroy());
        if (this.release !== null) void aged(answer, outgoing, this.release);
        else {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(outgoing);
        }
      });
      onward.on('error', () => outgoing.destroy());
      outgoing.on('close', () => onward.destroy());
      incoming.pipe(onward);
    });
    this.#server.on('upgrade', (incoming, /** @type {Socket} */ socket, head) => {
      socket.on('error', () => socket.destroy());
      if (this.answer) {
        accept(incoming, socket);
        this.answer(new Viewer(socket));
        return;
      }
      const [host, port] = share.address.split(':');
      const onward = connect(Number(port), host, () => {
        const headers = Object.entries(disguised(incoming.headers, share));
        const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
        onward.write(`GET ${incoming.url} HTTP/1.1\r\n${lines}\r\n`);
        onward.write(head);
        onward.pipe(socket).pipe(onward);
      });
      onward.on('error', () => socket.destroy());
    });
  }

  /** @param {Behind} share */
  static async start(share) {
    const impostor = new Impostor(share);
    await new Promise((resolve) => { impostor.#server.listen(0, '127.0.0.1', () => resolve(null)); });
    return impostor;
  }

  get port() {
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  end() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** One viewer's socket. */
export class Viewer {
  #socket;
  #unread = Buffer.alloc(0);
  /** What it said, oldest first. @type {import('../../../web/protocol/types.js').ClientPacket[]} */
  said = [];

  /** @param {Socket} socket */
  constructor(socket) {
    this.#socket = socket;
    socket.on('data', (data) => this.#read(data));
  }

  /** @param {Uint8Array} packet at most 64 KiB */
  send(packet) {
    this.#socket.write(Buffer.concat([Buffer.from([0x82]), lengthOf(packet), packet]));
  }

  /** Takes the binary messages out of what came; browsers mask them. @param {Buffer} data */
  #read(data) {
    this.#unread = Buffer.concat([this.#unread, data]);
    for (;;) {
      const [first = 0, second = 0] = this.#unread;
      const isLong = (second & 0x7f) === 126;
      const start = isLong ? 8 : 6;
      if (this.#unread.length < start) return;
      const length = isLong ? this.#unread.readUInt16BE(2) : second & 0x7f;
      if (this.#unread.length < start + length) return;
      const mask = this.#unread.subarray(start - 4, start);
      const message = Uint8Array.from(this.#unread.subarray(start, start + length), (byte, at) => byte ^ (mask[at % 4] ?? 0));
      this.#unread = this.#unread.subarray(start + length);
      if ((first & 0x0f) === 2) this.said.push(decodeClient(message));
    }
  }

  /** Whether there is a display, and why not. @param {'live' | 'lost' | 'ended'} state @param {string} reason */
  display(state, reason) {
    const text = Buffer.from(reason);
    const head = Buffer.from([0x06, ['live', 'lost', 'ended'].indexOf(state), text.length, 0]);
    this.send(Buffer.concat([head, text]));
  }

  /** @param {number} code */
  close(code) {
    this.#socket.end(Buffer.from([0x88, 2, code >> 8, code & 0xff]));
  }
}

/** A message's length in as few bytes as it takes: browsers refuse more. @param {Uint8Array} packet */
function lengthOf({ length }) {
  if (length < 126) return Buffer.from([length]);
  if (length > 0xffff) throw new Error('an impostor sends small packets only');
  return Buffer.from([126, length >> 8, length & 0xff]);
}

/** @param {import('node:http').IncomingMessage} incoming @param {Socket} socket */
function accept(incoming, socket) {
  const key = createHash('sha1').update(`${incoming.headers['sec-websocket-key']}${WEBSOCKET}`).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    + `Sec-WebSocket-Accept: ${key}\r\nSec-WebSocket-Protocol: lattice.v1\r\n\r\n`);
}

/** The headers as if the browser had spoken to the share. @param {import('node:http').IncomingHttpHeaders} headers @param {Behind} share @returns {import('node:http').IncomingHttpHeaders} */
function disguised(headers, share) {
  const origin = headers.origin ? { origin: `http://${share.address}` } : {};
  return { ...headers, host: share.address, ...origin };
}

/** The headers with the origin that the browser stated. @param {import('node:http').IncomingHttpHeaders} headers @param {Behind} share @returns {import('node:http').IncomingHttpHeaders} */
function candid(headers, share) {
  return { ...headers, host: share.address };
}

/**
 * An answer as a server of another release would give it.
 * @param {import('node:http').IncomingMessage} answer @param {import('node:http').ServerResponse} outgoing @param {string} release
 */
async function aged(answer, outgoing, release) {
  const isPage = answer.headers['content-type']?.startsWith('text/html') ?? false;
  const headers = { ...answer.headers, 'lattice-release': release };
  if (!isPage) {
    outgoing.writeHead(answer.statusCode ?? 502, headers);
    answer.pipe(outgoing);
    return;
  }
  let page = '';
  for await (const chunk of answer.setEncoding('utf8')) page += chunk;
  delete headers['content-length'];
  delete headers.etag;
  outgoing.writeHead(answer.statusCode ?? 502, headers);
  outgoing.end(page.replace(/\/static\/@[0-9a-f]+\//g, `/static/@${release}/`));
}
