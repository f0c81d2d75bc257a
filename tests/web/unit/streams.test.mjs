// Which units of video are decoded: what waits for a keyframe, what is left out, what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codecOf } from '../../../web/client/h264.js';
import { Streams } from '../../../web/client/streams.js';

const SPS = [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0x8c];
const PPS = [0, 0, 1, 0x68, 0xce, 0x3c, 0x80];
const KEY = Uint8Array.of(...SPS, ...PPS, 0, 0, 1, 0x65, 1, 2, 3);
const DELTA = Uint8Array.of(0, 0, 1, 0x41, 1, 2, 3);

const unit = (keyframe, more = {}) => ({
  kind: 'video', x: 0, y: 0, width: 64, height: 48, stream: 0, keyframe, codedWidth: 64, codedHeight: 48,
  damage: [], data: keyframe ? KEY : DELTA, ...more,
});
const key = (more) => unit(true, more);
const delta = (more) => unit(false, more);
const SHAPE = { codec: 'avc1.42c01f', codedWidth: 64, codedHeight: 48 };

/** Admits units in order and tells what became of each. */
function check(streams, units, expected) {
  assert.deepEqual(units.map((op) => {
    const { verdict, configure } = streams.admit(op, 0);
    return configure ? 'configure' : verdict;
  }), expected);
}

test('the codec is that of the first parameter set, whatever stands before it', () => {
  assert.equal(codecOf(KEY), 'avc1.42c01f');
  assert.equal(codecOf(Uint8Array.of(0, 0, 0, 1, 9, 0xf0, ...SPS)), 'avc1.42c01f');
  assert.equal(codecOf(Uint8Array.of(0, 0, 1, 0x27, 0x64, 0, 0x0a, 1, 1, 1)), 'avc1.64000a');
  assert.equal(codecOf(DELTA), null);
  assert.equal(codecOf(new Uint8Array(0)), null);
  assert.equal(codecOf(Uint8Array.of(...SPS.slice(0, 7))), null);
});

test('a stream begins with its keyframe, for which its decoder is made', () => {
  const streams = new Streams();
  check(streams, [delta(), delta(), key(), delta(), key(), delta()],
    ['skip', 'skip', 'configure', 'decode', 'decode', 'decode']);
  assert.deepEqual(new Streams().admit(key(), 0), { verdict: 'decode', configure: SHAPE });
});

test('a keyframe of another size or codec makes the decoder anew', () => {
  const other = Uint8Array.from(KEY);
  other[7] = 0x28;
  check(new Streams(), [key(), key({ codedWidth: 32 }), delta({ codedWidth: 32 }), key(), key({ data: other })],
    ['configure', 'configure', 'decode', 'configure', 'configure']);
});

test('a unit of another size than its keyframe is refused, and a keyframe without parameter sets', () => {
  check(new Streams(), [key(), delta({ codedHeight: 50 }), key({ data: DELTA })],
    ['configure', 'refuse', 'refuse']);
});

test('after units were missed each stream waits for its own keyframe and keeps its decoder', () => {
  const streams = new Streams();
  check(streams, [key(), key({ stream: 1 })], ['configure', 'configure']);
  streams.awaitKeyframes();
  check(streams, [delta(), delta({ stream: 1 }), key(), delta(), delta({ stream: 1 }), key({ stream: 1 })],
    ['skip', 'skip', 'decode', 'decode', 'skip', 'decode']);
});

test('a stream whose decoder is gone gets another with its next keyframe', () => {
  const streams = new Streams();
  check(streams, [key()], ['configure']);
  streams.lost(0);
  check(streams, [delta(), key(), delta()], ['skip', 'configure', 'decode']);
});

test('a stream is forgotten ten seconds after it was used', () => {
  const streams = new Streams();
  streams.admit(key(), 0);
  streams.admit(key({ stream: 3 }), 0);
  streams.admit(delta({ stream: 3 }), 6000);
  assert.deepEqual(streams.expire(9999), []);
  assert.deepEqual(streams.expire(10000), [0]);
  assert.deepEqual(streams.expire(10001), []);
  check(streams, [delta(), delta({ stream: 3 })], ['skip', 'decode']);
});
