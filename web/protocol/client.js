/** Packets from a viewer; mirrors `client.rs` and `input.rs` of `server/wire`. */

import { Writer } from './writer.js';

/** @import { ClientPacket } from './types.js' */

/** The first byte of each packet. */
export const KIND = Object.freeze({
  HELLO: 0x81, ACK: 0x82, PONG: 0x83, RESIZE: 0x84, REFRESH: 0x85, TAKE_CONTROL: 0x86,
  GIVE_CONTROL: 0x87, RELEASE_CONTROL: 0x88, POINT: 0x89,
  KEY: 0x90, TEXT: 0x91, POINTER: 0x92, BUTTON: 0x93, WHEEL: 0x94, RELEASE_ALL: 0x95,
});

/** The longest `code` or `key`, in bytes. */
export const MAX_KEY_NAME = 32;
/** The longest text of one packet, in bytes. */
export const MAX_TEXT = 4096;

/** The bytes of a packet from a viewer. @param {ClientPacket} packet */
export function encodeClient(packet) {
  switch (packet.type) {
    case 'hello':
      return new Writer(KIND.HELLO, 10).u16(packet.version).u32(packet.capabilities)
        .u16(packet.width).u16(packet.height).finish();
    case 'ack':
      return new Writer(KIND.ACK, 13).u32(packet.epoch).u32(packet.id).u32(packet.decodeUs)
        .u8(packet.queued).finish();
    case 'pong': return new Writer(KIND.PONG, 8).u64(packet.sentUs).finish();
    case 'resize': return new Writer(KIND.RESIZE, 4).u16(packet.width).u16(packet.height).finish();
    case 'refresh': return new Writer(KIND.REFRESH, 0).finish();
    case 'takeControl': return new Writer(KIND.TAKE_CONTROL, 0).finish();
    case 'giveControl': return new Writer(KIND.GIVE_CONTROL, 4).u32(packet.viewer).finish();
    case 'releaseControl': return new Writer(KIND.RELEASE_CONTROL, 0).finish();
    case 'point': return new Writer(KIND.POINT, 4).u16(packet.x).u16(packet.y).finish();
    case 'key':
      return new Writer(KIND.KEY, 24).u32(packet.seq).flag(packet.down).u16(packet.modifiers)
        .str8(packet.code).str8(packet.key).finish();
    case 'text': return new Writer(KIND.TEXT, 16).u32(packet.seq).str16(packet.text, MAX_TEXT).finish();
    case 'pointer': return new Writer(KIND.POINTER, 8).u32(packet.seq).u16(packet.x).u16(packet.y).finish();
    case 'button':
      return new Writer(KIND.BUTTON, 12).u32(packet.seq).u16(packet.x).u16(packet.y)
        .u8(packet.button).flag(packet.down).u16(packet.modifiers).finish();
    case 'wheel':
      return new Writer(KIND.WHEEL, 14).u32(packet.seq).u16(packet.x).u16(packet.y)
        .i16(packet.dx).i16(packet.dy).u16(packet.modifiers).finish();
    case 'releaseAll': return new Writer(KIND.RELEASE_ALL, 4).u32(packet.seq).finish();
  }
}
