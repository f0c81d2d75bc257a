// Golden packets, written by the Rust side: both languages read and write them to the byte.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodeClient, encodeServer } from '../lib/mirror.mjs';
import { DecodeError, decodeServer, encodeClient } from '../../../web/protocol/packets.js';

const FILE = new URL('../../vectors/packets.json', import.meta.url);
const CODECS = {
  server: { decode: decodeServer, encode: encodeServer },
  client: { decode: decodeClient, encode: encodeClient },
};
const BIG = new Set(['sentUs']);
const BYTES = new Set(['data', 'png']);

const fromHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** A packet of the vectors as the codec has it: bytes and 64-bit numbers are text in JSON. */
const revive = (packet) => JSON.parse(JSON.stringify(packet), (key, value) => {
  if (BIG.has(key)) return BigInt(value);
  return BYTES.has(key) && typeof value === 'string' ? fromHex(value) : value;
});

const vectors = existsSync(FILE)
  ? JSON.parse(readFileSync(FILE, 'utf8')).filter(({ direction }) => direction in CODECS) : [];

test('there are vectors of both directions', () => {
  const directions = new Set(vectors.map(({ direction }) => direction));
  assert.deepEqual([...directions].sort(), ['client', 'server']);
});

for (const { name, direction, hex, packet } of vectors) {
  const { decode, encode } = CODECS[direction];

  test(`${direction} ${name} is read`, () => assert.deepEqual(decode(fromHex(hex)), revive(packet)));

  test(`${direction} ${name} is written`, () => assert.equal(toHex(encode(revive(packet))), hex));

  test(`every strict prefix of ${direction} ${name} is truncated`, () => {
    const bytes = fromHex(hex);
    for (let length = 0; length < bytes.length; length += 1) {
      assert.throws(() => decode(bytes.slice(0, length)), isDecodeError('truncated'), `${length} bytes`);
    }
  });

  test(`a byte more than ${direction} ${name} is refused`, () => {
    assert.throws(() => decode(fromHex(`${hex}00`)), isDecodeError('trailing'));
  });
}

function isDecodeError(code) {
  return (error) => error instanceof DecodeError && error.code === code;
}
