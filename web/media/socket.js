/** The WebSocket: packets in and out, and whether the other end is alive. Lives in the worker. */

import {
  DecodeError, MAX_SERVER_PACKET, SUBPROTOCOL, decodeServer, encodeClient,
} from '../protocol/packets.js';
import { CLOSE } from '../protocol/close.js';

/** @import { ServerPacket, ClientPacket } from '../protocol/types.js' */

/**
 * @typedef {{ opened(): void, packet(packet: ServerPacket, bytes: number): void,
 *   closed(code: number, reason: string): void }} Listener
 */

/** More than this unsent, and pointer motion is dropped: the newest position is what counts. */
const MAX_UNSENT = 64 << 10;

/** One connection at a time; opening another closes the one before. */
export class Socket {
  #listener;
  /** @type {WebSocket | null} */
  #ws = null;
  /** When the last packet came, or the connection was asked for. */
  heardAt = 0;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  get isOpen() {
    return this.#ws?.readyState === WebSocket.OPEN;
  }

  get isActive() {
    return this.#ws !== null;
  }

  /** @param {string} url */
  open(url) {
    this.close();
    const ws = new WebSocket(url, SUBPROTOCOL);
    ws.binaryType = 'arraybuffer';
    const ifCurrent = (/** @type {() => void} */ act) => () => { if (this.#ws === ws) act(); };
    ws.onopen = ifCurrent(() => {
      this.heardAt = performance.now();
      this.#listener.opened();
    });
    ws.onmessage = ({ data }) => { if (this.#ws === ws) this.#receive(data); };
    ws.onclose = ({ code, reason }) => {
      if (this.#ws !== ws) return;
      this.#ws = null;
      this.#listener.closed(code, reason);
    };
    this.#ws = ws;
    this.heardAt = performance.now();
  }

  close() {
    const ws = this.#ws;
    this.#ws = null;
    ws?.close(1000);
  }

  /** @param {ClientPacket} packet */
  send(packet) {
    const ws = this.#ws;
    if (ws?.readyState !== WebSocket.OPEN) return;
    if (packet.type === 'pointer' && ws.bufferedAmount > MAX_UNSENT) return;
    ws.send(encodeClient(packet));
  }

  /** @param {unknown} data */
  #receive(data) {
    this.heardAt = performance.now();
    if (!(data instanceof ArrayBuffer) || data.byteLength > MAX_SERVER_PACKET) return this.#refuse();
    const packet = decode(new Uint8Array(data));
    if (packet === 'malformed') this.#refuse();
    else if (packet !== 'unknown') this.#listener.packet(packet, data.byteLength);
  }

  #refuse() {
    this.close();
    this.#listener.closed(CLOSE.PROTOCOL, '');
  }
}

/**
 * A kind that this viewer does not know is skipped: a newer gateway may say more.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {ServerPacket | 'unknown' | 'malformed'}
 */
function decode(bytes) {
  try {
    return decodeServer(bytes);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return error.code === 'unknown-kind' ? 'unknown' : 'malformed';
  }
}
