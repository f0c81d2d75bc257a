/** Packets towards a viewer; mirrors `picture.rs` and `server.rs` of `server/wire`. */

import { DecodeError, MAX_SIDE, Reader, atMost, invalid } from './reader.js';

/** @import { Bytes, Cursor, Digest, Frame, Op, Rect, ServerPacket, VideoOp } from './types.js' */

/** The first byte of each packet. */
export const KIND = Object.freeze({
  FRAME: 0x01, DIGEST: 0x02, CURSOR: 0x03, WELCOME: 0x04, CONTROL: 0x05, DISPLAY_STATE: 0x06,
  PING: 0x07, CONDITION: 0x08,
});

const MAX_OPS = 8192;
const MAX_PAYLOAD = 16 << 20;
const MAX_STREAMS = 16;
const MAX_VIDEO_DAMAGE = 64;
const MAX_CURSOR_SIDE = 256;
const MAX_CURSOR_BYTES = 512 << 10;
/** The longest name or message, in bytes. */
export const MAX_TEXT = 512;
/** The length of an operation in a frame's table. */
export const OP_BYTES = 14;

/** Rows of the screen that one hash of a digest covers. */
export const BAND_HEIGHT = 64;

/** What limits the picture, by its byte. */
export const BOTTLENECKS = /** @type {const} */ (['nothing', 'server', 'network', 'browser']);

/** Of the display, by their byte. */
export const STATES = /** @type {const} */ (['live', 'lost', 'ended']);

/**
 * Reads any packet towards a viewer; payloads share its memory.
 * @param {Bytes} bytes
 * @returns {ServerPacket}
 * @throws {DecodeError}
 */
export function decodeServer(bytes) {
  const reader = new Reader(bytes);
  const packet = read(reader);
  reader.end();
  return packet;
}

/** @param {Reader} reader @returns {ServerPacket} */
function read(reader) {
  const kind = reader.u8();
  switch (kind) {
    case KIND.FRAME: return readFrame(reader);
    case KIND.DIGEST: return readDigest(reader);
    case KIND.CURSOR: return readCursor(reader);
    case KIND.WELCOME:
      return {
        type: 'welcome', version: reader.u16(), viewer: reader.u32(), control: reader.flag('role'),
        minWidth: reader.u16(), minHeight: reader.u16(),
        maxWidth: reader.u16(), maxHeight: reader.u16(), name: reader.str16('name', MAX_TEXT),
      };
    case KIND.CONTROL: return { type: 'control', controller: reader.u32(), viewers: reader.u16() };
    case KIND.DISPLAY_STATE: {
      const state = STATES[reader.u8()];
      if (!state) throw invalid('display state');
      return { type: 'displayState', state, reason: reader.str16('reason', MAX_TEXT) };
    }
    case KIND.PING: return { type: 'ping', sentUs: reader.u64(), roundTripUs: reader.u32() };
    case KIND.CONDITION: {
      const bottleneck = BOTTLENECKS[reader.u8()];
      if (!bottleneck) throw invalid('bottleneck');
      return { type: 'condition', bottleneck, bitrate: reader.u32(), debtMs: reader.u16() };
    }
    default: throw new DecodeError('unknown-kind', `unknown packet kind ${kind}`);
  }
}

/** @param {Reader} reader */
function readScreen(reader) {
  const size = { width: reader.u16(), height: reader.u16() };
  const fits = size.width > 0 && size.height > 0
    && size.width <= MAX_SIDE && size.height <= MAX_SIDE;
  if (!fits) throw invalid('screen size');
  return size;
}

/** @param {Reader} reader @returns {Frame} */
function readFrame(reader) {
  const flags = reader.u8();
  if (flags > 3) throw invalid('frame flags');
  const count = reader.count('operations', MAX_OPS);
  /** @type {Frame} */
  const frame = {
    type: 'frame', keyframe: (flags & 1) !== 0, refresh: (flags & 2) !== 0,
    epoch: reader.u32(), id: reader.u32(), ...readScreen(reader), noticedUs: reader.u64(),
    echoViewer: reader.u32(), echoSeq: reader.u32(), costUs: reader.u32(), ops: [],
  };
  const table = new Reader(reader.take(count * OP_BYTES));
  for (let step = 0; step < count; step += 1) frame.ops.push(readOp(table, frame, reader));
  return frame;
}

/**
 * @param {Reader} table
 * @param {{ width: number, height: number }} screen
 * @param {Reader} payloads
 * @returns {Op}
 */
function readOp(table, screen, payloads) {
  const kind = table.u8();
  if (table.u8() !== 0) throw invalid('reserved byte');
  const rect = table.rect();
  const argument = table.u32();
  if (!contains(screen, rect)) throw invalid('rectangle outside the screen');
  switch (kind) {
    case 1:
      if (argument > 0xffffff) throw invalid('fill colour');
      return { kind: 'fill', ...rect, color: argument };
    case 2: {
      const [fromX, fromY] = [argument & 0xffff, argument >>> 16];
      if (!contains(screen, { ...rect, x: fromX, y: fromY })) {
        throw invalid('copy source outside the screen');
      }
      return { kind: 'copy', ...rect, fromX, fromY };
    }
    case 3: case 4: {
      const data = payloads.take(atMost('payload', argument, MAX_PAYLOAD));
      return { kind: kind === 3 ? 'png' : 'palette', ...rect, data };
    }
    case 5: return readVideo(rect, payloads.take(atMost('payload', argument, MAX_PAYLOAD)));
    default: throw invalid('operation kind');
  }
}

/** @param {Rect} place @param {Bytes} payload @returns {VideoOp} */
function readVideo(place, payload) {
  if (payload.length < 8) throw invalid('video payload');
  const reader = new Reader(payload);
  const stream = reader.u8();
  if (stream >= MAX_STREAMS) throw invalid('video stream');
  const keyframe = reader.flag('video flags');
  const coded = { codedWidth: reader.u16(), codedHeight: reader.u16() };
  const isEven = coded.codedWidth % 2 === 0 && coded.codedHeight % 2 === 0;
  const fits = Math.min(coded.codedWidth, coded.codedHeight) > 0
    && Math.max(coded.codedWidth, coded.codedHeight) <= MAX_SIDE;
  if (!isEven || !fits) throw invalid('video size');
  const count = reader.u16();
  if (count === 0 || count > MAX_VIDEO_DAMAGE) throw invalid('video damage');
  if (payload.length <= 8 + count * 8) throw invalid('video payload');
  const damage = Array.from({ length: count }, () => reader.rect());
  if (!damage.every((rect) => isWithin(rect, place))) throw invalid('video damage');
  return { kind: 'video', ...place, stream, keyframe, ...coded, damage, data: reader.rest() };
}

/** @param {Rect} inner @param {Rect} outer */
function isWithin(inner, outer) {
  return inner.x >= outer.x && inner.y >= outer.y && inner.x + inner.width <= outer.x + outer.width
    && inner.y + inner.height <= outer.y + outer.height;
}

/** @param {{ width: number, height: number }} screen @param {Rect} rect */
function contains(screen, rect) {
  return rect.x + rect.width <= screen.width && rect.y + rect.height <= screen.height;
}

/** @param {Reader} reader @returns {Digest} */
function readDigest(reader) {
  const at = { epoch: reader.u32(), id: reader.u32() };
  const size = readScreen(reader);
  const bands = [];
  for (let y = 0; y < size.height; y += BAND_HEIGHT) bands.push(reader.u32());
  return { type: 'digest', ...at, ...size, bands };
}

/** @param {Reader} reader @returns {Cursor} */
function readCursor(reader) {
  const hot = { hotX: reader.u16(), hotY: reader.u16() };
  const size = { width: reader.u16(), height: reader.u16() };
  if (size.width > MAX_CURSOR_SIDE || size.height > MAX_CURSOR_SIDE) throw invalid('cursor size');
  const length = atMost('cursor image', reader.u32(), MAX_CURSOR_BYTES);
  if ((length === 0) !== (size.width * size.height === 0)) throw invalid('cursor image');
  return { type: 'cursor', ...hot, ...size, png: reader.take(length) };
}
