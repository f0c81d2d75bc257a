// @ts-check
/**
 * The other direction of both ends: what a gateway writes and reads. The viewer never loads this;
 * tests and tools do, to check the vectors both ways and to play the gateway.
 */

import { KIND as CLIENT, MAX_KEY_NAME, MAX_TEXT as CLIENT_MAX_TEXT } from '../../../web/protocol/client.js';
import { DecodeError, Reader, atMost, invalid } from '../../../web/protocol/reader.js';
import { BOTTLENECKS, KIND, MAX_TEXT, ROLES, STATES } from '../../../web/protocol/server.js';
import { Writer, utf8Length } from '../../../web/protocol/writer.js';

/** @import { ClientPacket, Frame, Op, ServerPacket } from '../../../web/protocol/types.js' */

const ALL_MODIFIERS = 127;

/**
 * The bytes of a packet towards a viewer.
 * @param {ServerPacket} packet
 */
export function encodeServer(packet) {
  switch (packet.type) {
    case 'frame': return encodeFrame(packet);
    case 'digest': {
      const out = new Writer(KIND.DIGEST, 12 + packet.bands.length * 4)
        .u32(packet.epoch).u32(packet.id).u16(packet.width).u16(packet.height);
      for (const band of packet.bands) out.u32(band);
      return out.finish();
    }
    case 'cursor':
      return new Writer(KIND.CURSOR, 12 + packet.png.length)
        .u16(packet.hotX).u16(packet.hotY).u16(packet.width).u16(packet.height)
        .u32(packet.png.length).bytes(packet.png).finish();
    case 'welcome':
      return new Writer(KIND.WELCOME, 32 + packet.name.length)
        .u16(packet.version).u32(packet.viewer).u8(ROLES.indexOf(packet.role))
        .u16(packet.minWidth).u16(packet.minHeight).u16(packet.maxWidth).u16(packet.maxHeight)
        .str16(packet.name, MAX_TEXT).finish();
    case 'control': return new Writer(KIND.CONTROL, 6).u32(packet.controller).u16(packet.viewers).finish();
    case 'displayState':
      return new Writer(KIND.DISPLAY_STATE, 3 + packet.reason.length)
        .u8(STATES.indexOf(packet.state)).str16(packet.reason, MAX_TEXT).finish();
    case 'condition':
      return new Writer(KIND.CONDITION, 7)
        .u8(BOTTLENECKS.indexOf(packet.bottleneck)).u32(packet.bitrate).u16(packet.debtMs).finish();
    case 'people': {
      const out = new Writer(KIND.PEOPLE, 2 + packet.people.length * 24).u16(packet.people.length);
      for (const { viewer, role, asks, name } of packet.people) {
        out.u32(viewer).u8(ROLES.indexOf(role)).flag(asks).str8(name);
      }
      return out.finish();
    }
    case 'pointing':
      return new Writer(KIND.POINTING, 8).u32(packet.viewer).u16(packet.x).u16(packet.y).finish();
    case 'standing': {
      const out = new Writer(KIND.STANDING, 10);
      switch (packet.is) {
        case 'usual': return out.u8(0).finish();
        case 'warned': return out.u8(1).u32(packet.idleS).u32(packet.leftS).flag(packet.stops).finish();
        case 'paused': return out.u8(2).finish();
        case 'queued': return out.u8(3).u16(packet.position).u32(packet.etaS ?? 0xffffffff).finish();
      }
    }
    case 'offerPage': return new Writer(KIND.OFFER_PAGE, 0).finish();
    case 'ping': return new Writer(KIND.PING, 12).u64(packet.sentUs).u32(packet.roundTripUs).finish();
  }
}

/** @param {Frame} frame */
function encodeFrame(frame) {
  const out = new Writer(KIND.FRAME, 64 + frame.ops.length * 16)
    .u8((frame.keyframe ? 1 : 0) | (frame.refresh !== null ? 2 : 0)).u32(frame.epoch).var(frame.id);
  if (frame.keyframe) out.varSize(frame.keyframe);
  if (frame.refresh !== null) out.u8(frame.refresh);
  out.var(frame.echoViewer).var(frame.echoSeq).var(frame.costUs).var(frame.ops.length);
  const payloads = frame.ops.map(payloadOf);
  for (const [at, op] of frame.ops.entries()) writeStep(out, op, payloads[at].length);
  for (const payload of payloads) out.bytes(payload);
  return out.finish();
}

/** @param {Op} op */
function payloadOf(op) {
  switch (op.kind) {
    case 'fill': case 'copy': return new Uint8Array(0);
    case 'png': case 'palette': return op.data;
    case 'video': {
      // A writer begins with a kind; the payload of video begins with its stream.
      const out = new Writer(op.stream | (op.keyframe ? 0x80 : 0), 16 + op.data.length)
        .var(op.codedWidth).var(op.codedHeight).var(op.damage.length);
      for (const rect of op.damage) out.varRect(rect);
      return out.bytes(op.data).finish();
    }
  }
}

/** @param {Writer} out @param {Op} op @param {number} length of the payload */
function writeStep(out, op, length) {
  out.u8(['fill', 'copy', 'png', 'palette', 'video'].indexOf(op.kind) + 1).varRect(op);
  switch (op.kind) {
    case 'fill': out.u8(op.color >> 16).u8(op.color >> 8).u8(op.color); break;
    case 'copy': out.svar(op.fromX - op.x).svar(op.fromY - op.y); break;
    case 'png': case 'palette': case 'video': out.var(length); break;
  }
}

/**
 * Reads any packet from a viewer.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {ClientPacket}
 * @throws {DecodeError}
 */
export function decodeClient(bytes) {
  const reader = new Reader(bytes);
  const packet = read(reader);
  reader.end();
  return packet;
}

/** @param {Reader} reader @returns {ClientPacket} */
function read(reader) {
  const kind = reader.u8();
  switch (kind) {
    case CLIENT.HELLO:
      return {
        type: 'hello', version: reader.u16(), capabilities: reader.u32(),
        width: reader.u16(), height: reader.u16(),
      };
    case CLIENT.ACK:
      return {
        type: 'ack', epoch: reader.u32(), id: reader.u32(), decodeUs: reader.u32(),
        queued: reader.u8(),
      };
    case CLIENT.PONG: return { type: 'pong', sentUs: reader.u64() };
    case CLIENT.RESIZE: return { type: 'resize', width: reader.u16(), height: reader.u16() };
    case CLIENT.REFRESH: return { type: 'refresh' };
    case CLIENT.TAKE_CONTROL: return { type: 'takeControl' };
    case CLIENT.GIVE_CONTROL: return { type: 'giveControl', viewer: reader.u32() };
    case CLIENT.RELEASE_CONTROL: return { type: 'releaseControl' };
    case CLIENT.POINT: return { type: 'point', x: reader.u16(), y: reader.u16() };
    case CLIENT.KEY:
      return {
        type: 'key', seq: reader.u32(), down: reader.flag('key state'),
        modifiers: readModifiers(reader), code: readName(reader, 'key code'),
        key: readName(reader, 'key'),
      };
    case CLIENT.TEXT: return { type: 'text', seq: reader.u32(), text: reader.str16('text', CLIENT_MAX_TEXT) };
    case CLIENT.POINTER: return { type: 'pointer', seq: reader.u32(), x: reader.u16(), y: reader.u16() };
    case CLIENT.BUTTON: {
      const at = { seq: reader.u32(), x: reader.u16(), y: reader.u16() };
      const button = reader.u8();
      if (button > 4) throw invalid('button');
      const down = reader.flag('button state');
      return { type: 'button', ...at, button, down, modifiers: readModifiers(reader) };
    }
    case CLIENT.WHEEL:
      return {
        type: 'wheel', seq: reader.u32(), x: reader.u16(), y: reader.u16(),
        dx: reader.i16(), dy: reader.i16(), modifiers: readModifiers(reader),
      };
    case CLIENT.RELEASE_ALL: return { type: 'releaseAll', seq: reader.u32() };
    default: throw new DecodeError('unknown-kind', `unknown packet kind ${kind}`);
  }
}

/** @param {Reader} reader */
function readModifiers(reader) {
  const bits = reader.u16();
  if (bits > ALL_MODIFIERS) throw invalid('modifiers');
  return bits;
}

/** @param {Reader} reader @param {string} field */
function readName(reader, field) {
  const text = reader.str8(field);
  atMost(field, utf8Length(text), MAX_KEY_NAME);
  return text;
}
