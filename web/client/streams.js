/**
 * Which units of video may be decoded. Pure: time is an argument, in milliseconds.
 *
 * A unit builds on the one before it in its stream. Whoever missed one, or was sent the screen anew,
 * waits for the stream's next keyframe and leaves the units before it out: what they would have
 * painted is sent exactly once it rests.
 *
 * INVARIANT: of a stream that awaits its keyframe nothing but a keyframe is admitted.
 */

import { codecOf } from './h264.js';

/** @import { VideoOp } from '../protocol/types.js' */

/** A stream that showed nothing for so long has ended, and its decoder is not kept for it. */
const IDLE_MS = 10000;

/**
 * @typedef {{ codec: string, codedWidth: number, codedHeight: number }} Shape
 * @typedef {{ shape: Shape, isAwaiting: boolean, usedAt: number }} Stream
 * @typedef {{ verdict: 'decode', configure: Shape | null } | { verdict: 'skip' } | { verdict: 'refuse' }} Admission
 *   `configure`: what the decoder must be made for first
 */

/** The streams that have a decoder. */
export class Streams {
  /** @type {Map<number, Stream>} */
  #streams = new Map();

  /** Units were missed, or the screen was sent anew. */
  awaitKeyframes() {
    for (const stream of this.#streams.values()) stream.isAwaiting = true;
  }

  /** Its decoder is gone. @param {number} number */
  lost(number) {
    this.#streams.delete(number);
  }

  /**
   * Of units in the order of their frames.
   * @param {VideoOp} op @param {number} now @returns {Admission}
   */
  admit(op, now) {
    const stream = this.#streams.get(op.stream);
    if (!op.keyframe) return follow(stream, op, now);
    const codec = codecOf(op.data);
    if (!codec) return { verdict: 'refuse' };
    const shape = { codec, codedWidth: op.codedWidth, codedHeight: op.codedHeight };
    this.#streams.set(op.stream, { shape, isAwaiting: false, usedAt: now });
    return { verdict: 'decode', configure: stream && isSame(stream.shape, shape) ? null : shape };
  }

  /** Forgets the streams that have not been used for long. @param {number} now @returns {number[]} which */
  expire(now) {
    const idle = [...this.#streams].filter(([, { usedAt }]) => now - usedAt >= IDLE_MS).map(([number]) => number);
    for (const number of idle) this.#streams.delete(number);
    return idle;
  }
}

/** @param {Stream | undefined} stream @param {VideoOp} op @param {number} now @returns {Admission} */
function follow(stream, op, now) {
  if (!stream || stream.isAwaiting) return { verdict: 'skip' };
  const { codedWidth, codedHeight } = stream.shape;
  if (op.codedWidth !== codedWidth || op.codedHeight !== codedHeight) return { verdict: 'refuse' };
  stream.usedAt = now;
  return { verdict: 'decode', configure: null };
}

/** @param {Shape} a @param {Shape} b */
function isSame(a, b) {
  return a.codec === b.codec && a.codedWidth === b.codedWidth && a.codedHeight === b.codedHeight;
}
