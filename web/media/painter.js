/**
 * Frames on their way to the screen: decoded side by side, painted strictly in order.
 *
 * A frame that cannot be decoded is not shown in part; nothing more is painted until the keyframe
 * that is then asked for. Overflow rule: when too much waits, all of it is dropped and a keyframe
 * asked for.
 */

/** @import { Frame, Rect } from '../protocol/types.js' */

/**
 * @typedef {{ frame: Frame, bytes: number, arrived: number, started: boolean, ready: boolean,
 *   failed: boolean, tiles: (Uint32Array | undefined)[] }} Waiting
 * @typedef {{ painted(frame: Frame, dirty: Rect[], arrived: number, queued: number): void,
 *   dropped(frame: Frame): void, undecodable(): void }} Listener
 */

const MAX_WAITING = 32;
const MAX_WAITING_BYTES = 96 << 20;
const DECODED_AHEAD = 3;

/** The queue in front of the screen. */
export class Painter {
  #screen;
  #decoder;
  #listener;
  /** @type {Waiting[]} */
  #queue = [];
  /** The epoch that frames must have; null until a keyframe comes. @type {number | null} */
  #epoch = null;

  /**
   * @param {import('./screen.js').Screen} screen
   * @param {import('./tiles.js').TileDecoder} decoder
   * @param {Listener} listener
   */
  constructor(screen, decoder, listener) {
    this.#screen = screen;
    this.#decoder = decoder;
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
    const isMedia = frame.ops.some((op) => op.kind === 'png');
    this.#queue.push({
      frame, bytes, arrived, started: !isMedia, ready: !isMedia, failed: false, tiles: [],
    });
    if (this.#isOverfull()) this.#giveUp();
    this.#drain();
  }

  /** Drops what waits; the next frame must be a keyframe. The picture stays. */
  reset() {
    this.#drop(this.#queue.splice(0));
    this.#epoch = null;
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
      const first = this.#queue[0];
      if (!first?.ready) break;
      this.#queue.shift();
      this.#paint(first);
    }
    for (const waiting of this.#queue.slice(0, DECODED_AHEAD)) if (!waiting.started) void this.#decode(waiting);
  }

  /** @param {Waiting} waiting */
  #paint(waiting) {
    const dirty = waiting.failed ? null : this.#screen.paint(waiting.frame, waiting.tiles);
    if (dirty) {
      this.#release(waiting);
      this.#listener.painted(waiting.frame, dirty, waiting.arrived, this.#queue.length);
      return;
    }
    this.#drop([waiting]);
    this.#skipToKeyframe();
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
  async #decode(waiting) {
    waiting.started = true;
    const { ops } = waiting.frame;
    const results = await Promise.allSettled(
      ops.map((op) => (op.kind === 'png' ? this.#decoder.decode(op) : undefined)));
    waiting.tiles = results.map((result) => (result.status === 'fulfilled' ? result.value : undefined));
    waiting.failed = results.some((result) => result.status === 'rejected');
    waiting.ready = true;
    if (this.#queue.includes(waiting)) this.#drain();
    else this.#release(waiting);
  }

  /** @param {Waiting} waiting */
  #release(waiting) {
    for (const tile of waiting.tiles) if (tile) this.#decoder.release(tile);
    waiting.tiles = [];
  }
}
