// What the codec does with packets that no honest peer sends, and that it reads what it writes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeClient, encodeServer } from '../lib/mirror.mjs';
import { DecodeError, decodeServer, encodeClient } from '../../../web/protocol/packets.js';

const frame = (ops, more = {}) => ({
  type: 'frame', keyframe: null, refresh: null, epoch: 1, id: 2, echoViewer: 3, echoSeq: 4, costUs: 5, ops, ...more,
});
const SCREEN = { width: 100, height: 80 };
const rect = { x: 1, y: 2, width: 3, height: 4 };

const SERVER = [
  frame([]),
  frame([
    { kind: 'fill', ...rect, color: 0xffeedd },
    { kind: 'copy', ...rect, fromX: 97, fromY: 76 },
    { kind: 'png', ...rect, data: Uint8Array.of(1, 2, 3) },
    { kind: 'palette', ...rect, data: Uint8Array.of(9) },
    {
      kind: 'video', ...rect, stream: 15, keyframe: false, codedWidth: 4, codedHeight: 4,
      damage: [{ x: 2, y: 3, width: 2, height: 1 }], data: Uint8Array.of(0, 0, 1, 0x41),
    },
  ], { keyframe: SCREEN, refresh: 0 }),
  { type: 'digest', epoch: 1, id: 2, width: 10, height: 65, bands: [0xffffffff, 7] },
  { type: 'cursor', hotX: 1, hotY: 2, width: 3, height: 4, png: Uint8Array.of(5, 6) },
  { type: 'cursor', hotX: 0, hotY: 0, width: 0, height: 0, png: new Uint8Array(0) },
  {
    type: 'welcome', version: 1, viewer: 9, role: 'own', minWidth: 1, minHeight: 2,
    maxWidth: 3, maxHeight: 4, name: 'Über',
  },
  { type: 'control', controller: 1, viewers: 2 },
  { type: 'people', people: [] },
  { type: 'people', people: [{ viewer: 3, role: 'assist', asks: true, name: 'Zoë' }] },
  { type: 'pointing', viewer: 3, x: 65535, y: 0 },
  { type: 'standing', is: 'usual' },
  { type: 'standing', is: 'warned', idleS: 1500, leftS: 0, stops: false },
  { type: 'standing', is: 'paused' },
  { type: 'standing', is: 'queued', position: 65535, etaS: null },
  { type: 'standing', is: 'queued', position: 1, etaS: 0 },
  { type: 'offerPage' },
  { type: 'displayState', state: 'lost', reason: 'no answer' },
  { type: 'ping', sentUs: 2n ** 63n, roundTripUs: 0xffffffff },
  { type: 'condition', bottleneck: 'browser', bitrate: 0xffffffff, debtMs: 7 },
];
const CLIENT = [
  { type: 'hello', version: 1, capabilities: 3, width: 1366, height: 768 },
  { type: 'ack', epoch: 1, id: 2, decodeUs: 3, queued: 4 },
  { type: 'pong', sentUs: 5n },
  { type: 'resize', width: 1, height: 2 },
  { type: 'refresh' },
  { type: 'takeControl' },
  { type: 'giveControl', viewer: 3 },
  { type: 'releaseControl' },
  { type: 'point', x: 65535, y: 0 },
  { type: 'key', seq: 1, down: true, modifiers: 127, code: 'KeyA', key: 'ä' },
  { type: 'text', seq: 2, text: '日本' },
  { type: 'pointer', seq: 3, x: 65535, y: 0 },
  { type: 'button', seq: 4, x: 1, y: 2, button: 4, down: false, modifiers: 1 },
  { type: 'wheel', seq: 5, x: 1, y: 2, dx: -120, dy: 32767, modifiers: 0 },
  { type: 'releaseAll', seq: 6 },
];

for (const [packets, encode, decode] of [[SERVER, encodeServer, decodeServer], [CLIENT, encodeClient, decodeClient]]) {
  for (const packet of packets) {
    test(`${packet.type} comes back as it went, and its prefixes are truncated`, () => {
      const bytes = encode(packet);
      assert.deepEqual(decode(bytes), packet);
      for (let end = 0; end < bytes.length; end += 1) check(decode, bytes.slice(0, end), 'truncated');
    });
  }
}

test('a keyframe that reaches outside its screen is refused, any other outside the largest', () => {
  const fill = { kind: 'fill', x: 98, y: 0, width: 3, height: 1, color: 0 };
  const copy = { kind: 'copy', ...rect, fromX: 98, fromY: 0 };
  for (const op of [fill, copy]) {
    check(decodeServer, encodeServer(frame([op], { keyframe: SCREEN })), 'invalid');
    assert.deepEqual(decodeServer(encodeServer(frame([op]))).ops, [op]);
  }
  for (const [fromX, fromY] of [[8190, 0], [-1, 0], [0, -1], [0, 8189]]) {
    check(decodeServer, encodeServer(frame([{ kind: 'copy', ...rect, fromX, fromY }])), 'invalid');
  }
});

test('an empty rectangle, an empty screen and a screen beyond the largest are refused', () => {
  check(decodeServer, encodeServer(frame([{ kind: 'fill', x: 0, y: 0, width: 0, height: 1, color: 0 }])), 'invalid');
  check(decodeServer, encodeServer(frame([], { keyframe: { width: 0, height: 1 } })), 'invalid');
  check(decodeServer, encodeServer(frame([], { keyframe: { width: 1, height: 8193 } })), 'invalid');
});

test('a payload above its limit is refused before it is looked for', () => {
  const start = encodeServer(frame([{ kind: 'png', ...rect, data: new Uint8Array(0) }]));
  check(decodeServer, Uint8Array.of(...start.slice(0, -1), 0xff, 0xff, 0xff, 0xff, 0x0f), 'too-large');
});

test('more operations than there are bytes for are truncated, and more than the limit refused', () => {
  const start = encodeServer(frame([])).slice(0, -1);
  check(decodeServer, Uint8Array.of(...start, 0x80, 0x40), 'truncated');
  check(decodeServer, Uint8Array.of(...start, 0x81, 0x40), 'too-large');
});

test('a number has no second form', () => {
  const start = encodeServer(frame([])).slice(0, -1);
  for (const overlong of [[0x80, 0], [0x81, 0x80, 0], [0xff, 0xff, 0xff, 0xff, 0x1f], [0xff, 0xff, 0xff, 0xff, 0x8f, 0]]) {
    check(decodeServer, Uint8Array.of(...start, ...overlong), 'invalid');
  }
});

test('numbers of any size come back', () => {
  for (const value of [0, 127, 128, 16383, 16384, 2 ** 31, 2 ** 32 - 1]) {
    const packet = frame([], { id: value, echoViewer: value, echoSeq: value, costUs: value });
    assert.deepEqual(decodeServer(encodeServer(packet)), packet);
  }
});

test('a unit of video that ends too soon is invalid, not truncated', () => {
  const damage = [{ ...rect }];
  const unit = { kind: 'video', ...rect, stream: 1, keyframe: true, codedWidth: 4, codedHeight: 4, damage };
  check(decodeServer, encodeServer(frame([{ ...unit, data: new Uint8Array(0) }])), 'invalid');
  check(decodeServer, encodeServer(frame([{ ...unit, damage: [], data: Uint8Array.of(1) }])), 'invalid');
  check(decodeServer, encodeServer(frame([{ ...unit, codedWidth: 3, data: Uint8Array.of(1) }])), 'invalid');
});

test('an unknown kind is told apart from a malformed packet', () => {
  check(decodeServer, Uint8Array.of(0x3f), 'unknown-kind');
  check(decodeClient, Uint8Array.of(0x01), 'unknown-kind');
});

test('text that is not UTF-8 is refused', () => {
  check(decodeClient, Uint8Array.of(0x91, 1, 0, 0, 0, 1, 0, 0xff), 'invalid');
});

test('a key name above its limit is refused', () => {
  check(decodeClient, encodeClient({ type: 'key', seq: 1, down: true, modifiers: 0, code: '', key: 'é'.repeat(17) }), 'too-large');
});

test('text is cut between characters', () => {
  const { text } = decodeClient(encodeClient({ type: 'text', seq: 1, text: `${'a'.repeat(4095)}é` }));
  assert.equal(text, 'a'.repeat(4095));
});

test('no bytes at all make the decoder do anything but return or throw a DecodeError', () => {
  let state = 1;
  const random = () => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return state >>> 16; };
  for (let round = 0; round < 20000; round += 1) {
    const bytes = Uint8Array.from({ length: random() % 64 }, () => random());
    bytes[0] = 1 + (random() % 8);
    for (const decode of [decodeServer, decodeClient]) {
      try { decode(bytes); } catch (error) { assert.ok(error instanceof DecodeError); }
    }
  }
});

function check(decode, bytes, code) {
  assert.throws(() => decode(bytes), (error) => error instanceof DecodeError && error.code === code);
}
