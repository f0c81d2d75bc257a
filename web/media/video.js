/**
 * Decodes video, with one `VideoDecoder` for each stream.
 *
 * INVARIANT: every promise that `decode` returns settles. A unit whose picture does not come while a
 * later one does, or within `STALLED_MS`, is taken for an error, and an error ends the decoder and
 * all that it had in hand; the stream then awaits a keyframe. A picture that is handed over is the
 * caller's to close; one that nobody waits for is closed here.
 */

import { Streams } from '../client/streams.js';

/** @import { Frame, VideoOp } from '../protocol/types.js' */
/** @import { Shape } from '../client/streams.js' */

/** Decoding takes milliseconds; a unit that makes no picture in this time makes none at all. */
const STALLED_MS = 2000;
/** So many errors without a picture between them, and this browser is held to have no decoder. */
const HOPELESS = 3;

/** The decoders of all streams. */
export class Video {
  #streams = new Streams();
  /** @type {Map<number, Decoder>} */
  #decoders = new Map();
  /** @type {number | null} */
  #epoch = null;
  #failures = 0;
  /** Units that were given to a decoder. */
  units = 0;
  /** Units that were left out until their stream's keyframe. */
  skipped = 0;

  /** Decoders that exist now. */
  get open() {
    return this.#decoders.size;
  }

  /** Whether the decoder has failed again and again, so that tiles serve better. */
  get isHopeless() {
    return this.#failures >= HOPELESS;
  }

  /** A frame's operations come next. @param {Frame} frame */
  begin({ epoch, keyframe, refresh }) {
    if (epoch !== this.#epoch) this.close();
    this.#epoch = epoch;
    if (keyframe || refresh !== null) this.#streams.awaitKeyframes();
  }

  /** A frame was dropped: what builds on its units is of no use. */
  awaitKeyframes() {
    this.#streams.awaitKeyframes();
  }

  /**
   * The picture of a unit; null where the unit is left out.
   * @param {VideoOp} op of the frames in their order
   * @param {number} now
   * @returns {Promise<VideoFrame> | null}
   */
  decode(op, now) {
    const admission = this.#streams.admit(op, now);
    if (admission.verdict === 'skip') {
      this.skipped += 1;
      return null;
    }
    if (admission.verdict === 'refuse') return Promise.reject(new Error('a unit does not fit its stream'));
    this.units += 1;
    return this.#decoderOf(op.stream).decode(op, admission.configure, now);
  }

  /** Ends what is not used or does not answer. @param {number} now */
  sweep(now) {
    for (const decoder of [...this.#decoders.values()]) decoder.sweep(now);
    for (const number of this.#streams.expire(now)) {
      this.#decoders.get(number)?.close();
      this.#decoders.delete(number);
    }
  }

  /** Ends all decoders. */
  close() {
    for (const [number, decoder] of this.#decoders) {
      decoder.close();
      this.#streams.lost(number);
    }
    this.#decoders.clear();
  }

  /** @param {number} number */
  #decoderOf(number) {
    const existing = this.#decoders.get(number);
    if (existing) return existing;
    const decoder = new Decoder({
      decoded: () => { this.#failures = 0; },
      failed: () => {
        this.#failures += 1;
        this.#decoders.delete(number);
        this.#streams.lost(number);
      },
    });
    this.#decoders.set(number, decoder);
    return decoder;
  }
}

/**
 * @typedef {{ op: VideoOp, since: number, resolve(picture: VideoFrame): void,
 *   reject(error: unknown): void }} Pending
 */

/** The decoder of one stream. */
class Decoder {
  #listener;
  #decoder;
  /** Units whose picture is to come, by the number that they are given for a timestamp. @type {Map<number, Pending>} */
  #pending = new Map();
  #next = 0;

  /** @param {{ decoded(): void, failed(): void }} listener */
  constructor(listener) {
    this.#listener = listener;
    this.#decoder = new VideoDecoder({
      output: (picture) => this.#output(picture),
      error: (error) => this.#fail(error),
    });
  }

  /**
   * @param {VideoOp} op
   * @param {Shape | null} shape what to be made for first
   * @param {number} since
   * @returns {Promise<VideoFrame>}
   */
  decode(op, shape, since) {
    return new Promise((resolve, reject) => {
      const timestamp = this.#next;
      this.#next += 1;
      this.#pending.set(timestamp, { op, since, resolve, reject });
      try {
        // Without a description the units are taken for Annex B.
        if (shape) this.#decoder.configure({ ...shape, optimizeForLatency: true });
        const type = op.keyframe ? 'key' : 'delta';
        this.#decoder.decode(new EncodedVideoChunk({ type, timestamp, data: op.data }));
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  /** @param {number} now */
  sweep(now) {
    const [oldest] = this.#pending.values();
    if (oldest && now - oldest.since >= STALLED_MS) this.#fail(new Error('a unit makes no picture'));
  }

  close() {
    if (this.#decoder.state !== 'closed') this.#decoder.close();
    for (const { reject } of this.#pending.values()) reject(new Error('the decoder was closed'));
    this.#pending.clear();
  }

  /** @param {VideoFrame} picture */
  #output(picture) {
    const pending = this.#pending.get(picture.timestamp);
    const [first] = this.#pending.keys();
    if (!pending || first !== picture.timestamp || !isOfSize(picture, pending.op)) {
      picture.close();
      this.#fail(new Error('a picture does not fit its unit'));
      return;
    }
    this.#pending.delete(picture.timestamp);
    this.#listener.decoded();
    pending.resolve(picture);
  }

  /** @param {unknown} error */
  #fail(error) {
    for (const { reject } of this.#pending.values()) reject(error);
    this.close();
    this.#listener.failed();
  }
}

/** @param {VideoFrame} picture @param {VideoOp} op */
function isOfSize({ visibleRect }, { codedWidth, codedHeight }) {
  return visibleRect?.width === codedWidth && visibleRect.height === codedHeight;
}
