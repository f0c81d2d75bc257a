/**
 * Frames on their way to the screen: decoded side by side, painted strictly in order.
 *
 * A frame that cannot be decoded is not shown in part; nothing more is painted until the keyframe
 * that is then asked for. Overflow rule: when too much waits, all of it is dropped and a keyframe
 * asked for.
 *
 * INVARIANT: frames reach the decoders in their order, since units of video build on each other; and
 * whatever was decoded is released, painted or not.
 */

/** @import { Frame, Op, Rect } from '../protocol/types.js' */
/** @import { Part } from './screen.js' */

/**
 * @typedef {{ frame: Frame, bytes: number, arrived: number, started: boolean, ready: boolean,
 *   failed: boolean, parts: Part[] }} Waiting
 * @typedef {{ frame: Frame, dirty: Rect[], arrived: number, queued: number, isVideo: boolean }} Painted
 * @typedef {{ painted(painted: Painted): void, dropped(frame: Frame): void,
 *   undecodable(): void }} Listener
 */

const MAX_WAITING = 32;
const MAX_WAITING_BYTES = 96 << 20;
const DECODED_AHEAD = 3;

/** The queue in front of the screen. */
export class Painter {
  #screen;
  #tiles;
  #video;
  #listener;
  /** @type {Waiting[]} */
  #queue = [];
  /** The epoch that frames must have; null until a keyframe comes. @type {number | null} */
  #epoch = null;
  /** A frame is being brought into the shadow. */
  #isPreparing = false;

  /**
   * @param {import('./screen.js').Screen} screen
   * @param {import('./tiles.js').TileDecoder} tiles
   * @param {import('./video.js').Video} video
   * @param {Listener} listener
   */
  constructor(screen, tiles, video, listener) {
    this.#screen = screen;
    this.#tiles = tiles;
    this.#video = video;
    this.#listener = listener;
  }

  get queued() {
    return this.#queue.length;
  }

  /** When the oldest waiting frame arrived. */
  get waitingSince() {
    return this.#queue[0]?.arrived ?? null;
  }

  /** @param {Frame} frame @param {number} bytes the packet's size @param {number} arrived */
  push(frame, bytes, arrived) {
    if (frame.keyframe) this.#epoch = frame.epoch;
    else if (frame.epoch !== this.#epoch) {
      this.#listener.dropped(frame);
      return;
    }
    this.#queue.push({ frame, bytes, arrived, started: false, ready: false, failed: false, parts: [] });
    if (this.#isOverfull()) this.#giveUp();
    this.#drain();
  }

  /** Drops what waits; the next frame must be a keyframe. The picture stays. */
  reset() {
    this.#drop(this.#queue.splice(0));
    this.#epoch = null;
    this.#video.awaitKeyframes();
  }

  #isOverfull() {
    const bytes = this.#queue.reduce((sum, waiting) => sum + waiting.bytes, 0);
    return this.#queue.length > MAX_WAITING || (this.#queue.length > 1 && bytes > MAX_WAITING_BYTES);
  }

  #giveUp() {
    this.reset();
    this.#listener.undecodable();
  }

  #drain() {
    for (;;) {
      for (const waiting of this.#queue.slice(0, DECODED_AHEAD)) if (!waiting.started) this.#start(waiting);
      const first = this.#queue[0];
      if (!first?.ready || this.#isPreparing) return;
      const prepared = !first.failed && this.#screen.prepare(first.frame, first.parts);
      if (typeof prepared !== 'boolean') return void this.#finishLater(first, prepared);
      this.#finish(first, prepared);
    }
  }

  /** @param {Waiting} first @param {Promise<boolean>} preparing */
  async #finishLater(first, preparing) {
    this.#isPreparing = true;
    const prepared = await preparing.catch(() => false);
    this.#isPreparing = false;
    // One that was dropped meanwhile has left the shadow half painted; a keyframe is to follow.
    if (this.#queue[0] === first) this.#finish(first, prepared);
    this.#drain();
  }

  /** @param {Waiting} first of the queue @param {boolean} prepared */
  #finish(first, prepared) {
    this.#queue.shift();
    const { frame, arrived, parts } = first;
    if (!prepared) {
      this.#drop([first]);
      this.#skipToKeyframe();
      return;
    }
    const dirty = this.#screen.show(frame, parts);
    const isVideo = frame.ops.some((op, at) => op.kind === 'video' && parts[at]);
    this.#release(first);
    this.#listener.painted({ frame, dirty, arrived, queued: this.#queue.length, isVideo });
  }

  /** The frames that build on one which is missing are of no use. */
  #skipToKeyframe() {
    const next = this.#queue.findIndex(({ frame }) => frame.keyframe);
    this.#drop(this.#queue.splice(0, next < 0 ? Infinity : next));
    if (next < 0) this.#giveUp();
  }

  /** @param {Waiting[]} dropped */
  #drop(dropped) {
    for (const waiting of dropped) {
      this.#release(waiting);
      this.#listener.dropped(waiting.frame);
    }
  }

  /** @param {Waiting} waiting */
  #start(waiting) {
    const { frame } = waiting;
    waiting.started = true;
    this.#video.begin(frame);
    const decoding = frame.ops.map((op) => this.#decode(op));
    waiting.ready = !decoding.some((part) => part instanceof Promise);
    if (waiting.ready) waiting.parts = /** @type {Part[]} */ (decoding);
    else void this.#gather(waiting, decoding);
  }

  /** @param {Op} op @returns {Part | Promise<Part>} */
  #decode(op) {
    if (op.kind === 'png') return this.#tiles.decode(op);
    return op.kind === 'video' ? this.#video.decode(op, performance.now()) : undefined;
  }

  /** @param {Waiting} waiting @param {(Part | Promise<Part>)[]} decoding */
  async #gather(waiting, decoding) {
    const results = await Promise.allSettled(decoding);
    waiting.parts = results.map((result) => (result.status === 'fulfilled' ? result.value : undefined));
    waiting.failed = results.some((result) => result.status === 'rejected');
    waiting.ready = true;
    if (this.#queue.includes(waiting)) this.#drain();
    else this.#release(waiting);
  }

  /** @param {Waiting} waiting */
  #release(waiting) {
    for (const part of waiting.parts) {
      if (part instanceof Uint32Array) this.#tiles.release(part);
      else part?.close();
    }
    waiting.parts = [];
  }
}
