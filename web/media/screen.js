/**
 * The visible canvas and the shadow behind it.
 *
 * INVARIANT: `show` is one synchronous task, so the browser shows a frame whole or not at all. The
 * shadow is what was painted or is just being prepared; the canvas is what a person sees, and only it
 * is ever hashed.
 */

import { applyCopies, applyOp, applyOps, dirtyOf, isComplete, isInside } from '../client/frame.js';
import { hashPixels } from '../client/digest.js';
import { BAND_HEIGHT } from '../protocol/server.js';
import { PictureReader } from './pictures.js';

/** @import { Frame, Op, Rect, Size } from '../protocol/types.js' */

/** @typedef {import('../client/frame.js').Part<VideoFrame>} Part */

/** The desktop as it is shown. */
export class Screen {
  #canvas;
  #image = new ImageData(1, 1);
  #shadow = { width: 0, height: 0, pixels: new Uint32Array(0) };
  #pictures = new PictureReader();
  /** What is shown has this size. */
  width = 0;
  height = 0;

  /** @param {OffscreenCanvas} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    // Readable from memory: painting is `putImageData` and proving it is `getImageData`.
    const context = canvas.getContext('2d', { alpha: false, willReadFrequently: true });
    if (!context) throw new Error('the browser gives no 2D context');
    /** @readonly */
    this.context = context;
    canvas.addEventListener('contextrestored', () => this.#restore());
  }

  /**
   * Brings a frame into the shadow; what is shown stays as it was. One at a time; after one that fails
   * a keyframe has to follow.
   * @param {Frame} frame
   * @param {readonly Part[]} parts by operation
   * @returns {boolean | Promise<boolean>} whether it can be shown; a promise only for video
   */
  prepare(frame, parts) {
    const { keyframe } = frame;
    if (!isComplete(frame.ops, parts) || !isInside(keyframe ?? this.#shadow, frame.ops)) return false;
    if (keyframe) this.#resize(keyframe);
    if (frame.ops.some((op, at) => op.kind === 'video' && parts[at])) return this.#prepareVideo(frame.ops, parts);
    applyOps(this.#shadow, frame.ops, parts);
    return true;
  }

  /** @param {readonly Op[]} ops @param {readonly Part[]} parts */
  async #prepareVideo(ops, parts) {
    const shadow = this.#shadow;
    applyCopies(shadow, ops);
    for (const [at, op] of ops.entries()) {
      const part = parts[at];
      if (op.kind !== 'video') applyOp(shadow, op, part);
      else if (part) await this.#pictures.paint(shadow, op, /** @type {VideoFrame} */ (part));
    }
    return true;
  }

  /**
   * Shows the frame that was prepared.
   * @param {Frame} frame
   * @param {readonly Part[]} parts by operation
   * @returns {Rect[]} what was painted
   */
  show({ keyframe, ops }, parts) {
    const { width, height } = this.#shadow;
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    [this.width, this.height] = [width, height];
    const dirty = keyframe ? [{ x: 0, y: 0, width, height }] : dirtyOf(ops, parts);
    for (const rect of dirty) {
      this.context.putImageData(this.#image, 0, 0, rect.x, rect.y, rect.width, rect.height);
    }
    return dirty;
  }

  /** The hash of a band of the visible canvas. @param {number} band */
  hashBand(band) {
    const top = band * BAND_HEIGHT;
    const height = Math.min(BAND_HEIGHT, this.height - top);
    const { data } = this.context.getImageData(0, top, this.width, height);
    return hashPixels(new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4));
  }

  /** @param {Size} size */
  #resize({ width, height }) {
    if (width === this.#shadow.width && height === this.#shadow.height) return;
    this.#image = new ImageData(width, height);
    const pixels = new Uint32Array(this.#image.data.buffer);
    pixels.fill(0xff000000);
    this.#shadow = { width, height, pixels };
  }

  #restore() {
    if (this.width > 0) this.context.putImageData(this.#image, 0, 0);
  }
}
