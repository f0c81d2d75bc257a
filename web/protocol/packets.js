/**
 * What the browser and the gateway say to each other, protocol version 2; mirrors `server/wire`,
 * and `tests/vectors` holds packets that both must read and write to the byte.
 */

export { DecodeError } from './reader.js';
export { decodeServer } from './server.js';
export { encodeClient } from './client.js';

/** The protocol version of both hellos. */
export const VERSION = 3;
/** The WebSocket subprotocol that is offered. */
export const SUBPROTOCOL = 'lattice.v1';
/** The largest packet that is accepted from a gateway. */
export const MAX_SERVER_PACKET = 64 << 20;

/** What a browser can do; bits of the hello. */
export const CAPABILITY = Object.freeze({ SECURE_CONTEXT: 1, IMAGE_DECODER: 2, H264: 4, RETURNING: 8 });

/** Bits of `modifiers`. */
export const MODIFIER = Object.freeze({
  SHIFT: 1, CONTROL: 2, ALT: 4, META: 8, ALT_GRAPH: 16, CAPS_LOCK: 32, NUM_LOCK: 64,
});
