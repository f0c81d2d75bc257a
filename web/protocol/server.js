/** Packets towards a viewer; mirrors `picture.rs` and `server.rs` of `server/wire`. */

import { DecodeError, MAX_SIDE, Reader, atMost, invalid } from './reader.js';

/** @import { Bytes, Cursor, Digest, Frame, Op, People, Rect, ServerPacket, Standing, VideoOp } from './types.js' */

/** The first byte of each packet. */
export const KIND = Object.freeze({
  FRAME: 0x01, DIGEST: 0x02, CURSOR: 0x03, WELCOME: 0x04, CONTROL: 0x05, DISPLAY_STATE: 0x06,
  PING: 0x07, CONDITION: 0x08, PEOPLE: 0x09, POINTING: 0x0a,
  STANDING: 0x0b, OFFER_PAGE: 0x0c,
});

const MAX_OPS = 8192;
const MAX_PAYLOAD = 16 << 20;
const MAX_STREAMS = 16;
const MAX_VIDEO_DAMAGE = 64;
/** In a unit's first byte, beside its stream. */
const VIDEO_KEYFRAME = 0x80;
/** Where rectangles of unknown screens lie. */
const LARGEST = Object.freeze({ width: MAX_SIDE, height: MAX_SIDE });
const MAX_CURSOR_SIDE = 256;
const MAX_CURSOR_BYTES = 512 << 10;
/** The longest name or message, in bytes. */
export const MAX_TEXT = 512;
const MAX_PEOPLE = 1000;
/** Where nobody knows how long it takes. */
const UNKNOWN_ETA = 0xffffffff;
/** The least that an operation takes in a frame's table. */
const LEAST_OP = 6;

/** Rows of the screen that one hash of a digest covers. */
export const BAND_HEIGHT = 64;

/** What limits the picture, by its byte. */
export const BOTTLENECKS = /** @type {const} */ (['nothing', 'server', 'network', 'browser']);

/** What a viewer may do, by its byte; each may what those before it may. */
export const ROLES = /** @type {const} */ (['view', 'assist', 'control', 'own']);

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
        type: 'welcome', version: reader.u16(), viewer: reader.u32(), role: readRole(reader),
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
    case KIND.PEOPLE: return readPeople(reader);
    case KIND.POINTING:
      return { type: 'pointing', viewer: reader.u32(), x: reader.u16(), y: reader.u16() };
    case KIND.STANDING: return readStanding(reader);
    case KIND.OFFER_PAGE: return { type: 'offerPage' };
    default: throw new DecodeError('unknown-kind', `unknown packet kind ${kind}`);
  }
}

/** @param {Reader} reader */
function readRole(reader) {
  const role = ROLES[reader.u8()];
  if (!role) throw invalid('role');
  return role;
}

/** @param {Reader} reader @returns {People} */
function readPeople(reader) {
  const count = atMost('people', reader.u16(), MAX_PEOPLE);
  const people = [];
  for (let at = 0; at < count; at += 1) {
    people.push({
      viewer: reader.u32(), role: readRole(reader), asks: reader.flag('asks'), name: reader.str8('name'),
    });
  }
  return { type: 'people', people };
}

/** @param {Reader} reader @returns {Standing} */
function readStanding(reader) {
  switch (reader.u8()) {
    case 0: return { type: 'standing', is: 'usual' };
    case 1: return {
      type: 'standing', is: 'warned', idleS: reader.u32(), leftS: reader.u32(), stops: reader.flag('stops'),
    };
    case 2: return { type: 'standing', is: 'paused' };
    case 3: {
      const [position, etaS] = [reader.u16(), reader.u32()];
      return { type: 'standing', is: 'queued', position, etaS: etaS === UNKNOWN_ETA ? null : etaS };
    }
    default: throw invalid('standing');
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
  /** @type {Frame} */
  const frame = {
    type: 'frame', epoch: reader.u32(), id: reader.var('frame id'),
    keyframe: (flags & 1) !== 0 ? reader.varSize('screen size') : null,
    refresh: (flags & 2) !== 0 ? reader.u8() : null,
    echoViewer: reader.var('viewer'), echoSeq: reader.var('sequence number'),
    costUs: reader.var('cost'), ops: [],
  };
  const count = reader.varCount('operations', MAX_OPS, LEAST_OP);
  const screen = frame.keyframe ?? LARGEST;
  const table = Array.from({ length: count }, () => readStep(reader, screen));
  frame.ops = table.map((step) => (typeof step === 'object' ? step : step(reader)));
  return frame;
}

/**
 * An operation, or what reads it where it has a payload: payloads stand behind the table.
 * @param {Reader} reader
 * @param {{ width: number, height: number }} screen
 * @returns {Op | ((payloads: Reader) => Op)}
 */
function readStep(reader, screen) {
  const kind = reader.u8();
  const rect = reader.varRect();
  if (!contains(screen, rect)) throw invalid('rectangle outside the screen');
  switch (kind) {
    case 1:
      return { kind: 'fill', ...rect, color: (reader.u8() << 16) | (reader.u8() << 8) | reader.u8() };
    case 2: {
      const field = 'copy source outside the screen';
      const from = { ...rect, x: rect.x + reader.svar(field), y: rect.y + reader.svar(field) };
      if (from.x < 0 || from.y < 0 || !contains(screen, from)) throw invalid(field);
      return { kind: 'copy', ...rect, fromX: from.x, fromY: from.y };
    }
    case 3: case 4: case 5: {
      const length = atMost('payload', reader.var('payload'), MAX_PAYLOAD);
      return (payloads) => readMedia(kind, rect, payloads.take(length));
    }
    default: throw invalid('operation kind');
  }
}

/** @param {3 | 4 | 5} kind @param {Rect} rect @param {Bytes} data @returns {Op} */
function readMedia(kind, rect, data) {
  switch (kind) {
    case 3: return { kind: 'png', ...rect, data };
    case 4: return { kind: 'palette', ...rect, data };
    case 5: return readVideo(rect, data);
  }
}

/** @param {Rect} place @param {Bytes} payload @returns {VideoOp} */
function readVideo(place, payload) {
  try {
    return readUnit(place, new Reader(payload));
  } catch (error) {
    // A payload has its length from the table: what it lacks cannot follow.
    if (error instanceof DecodeError && error.code === 'truncated') throw invalid('video payload');
    throw error;
  }
}

/** @param {Rect} place @param {Reader} reader @returns {VideoOp} */
function readUnit(place, reader) {
  const first = reader.u8();
  const [stream, keyframe] = [first & ~VIDEO_KEYFRAME, (first & VIDEO_KEYFRAME) !== 0];
  if (stream >= MAX_STREAMS) throw invalid('video stream');
  const { width: codedWidth, height: codedHeight } = reader.varSize('video size');
  if (codedWidth % 2 !== 0 || codedHeight % 2 !== 0) throw invalid('video size');
  const count = reader.varCount('video damage', MAX_VIDEO_DAMAGE, 4);
  const damage = Array.from({ length: count }, () => reader.varRect());
  if (count === 0 || !damage.every((rect) => isWithin(rect, place))) throw invalid('video damage');
  const data = reader.rest();
  if (data.length === 0) throw invalid('video payload');
  return { kind: 'video', ...place, stream, keyframe, codedWidth, codedHeight, damage, data };
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
