/**
 * The visible canvas and the shadow behind it.
 *
 * INVARIANT: `paint` is one synchronous task, so the browser shows a frame whole or not at all. The
 * shadow is what was painted; the canvas is what a person sees, and only it is ever hashed.
 */

import { applyOps, isComplete, mergeRects } from '../client/frame.js';
import { hashPixels } from '../client/digest.js';
import { BAND_HEIGHT } from '../protocol/server.js';

/** @import { Frame, Rect } from '../protocol/types.js' */

/** The desktop as it is shown. */
export class Screen {
  #canvas;
  #image = new ImageData(1, 1);
  #shadow = { width: 0, height: 0, pixels: new Uint32Array(0) };

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

  get width() {
    return this.#shadow.width;
  }

  get height() {
    return this.#shadow.height;
  }

  /**
   * @param {Frame} frame
   * @param {readonly (Uint32Array | undefined)[]} decoded pixels of the PNGs, by operation
   * @returns {Rect[] | null} what was painted, null where the frame cannot be
   */
  paint(frame, decoded) {
    if (!isComplete(frame.ops, decoded)) return null;
    const sameSize = frame.width === this.width && frame.height === this.height;
    if (!frame.keyframe && !sameSize) return null;
    if (!sameSize) this.#resize(frame.width, frame.height);
    applyOps(this.#shadow, frame.ops, decoded);
    const dirty = frame.keyframe
      ? [{ x: 0, y: 0, width: frame.width, height: frame.height }]
      : mergeRects(frame.ops);
    for (const { x, y, width, height } of dirty) {
      this.context.putImageData(this.#image, 0, 0, x, y, width, height);
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

  /** @param {number} width @param {number} height */
  #resize(width, height) {
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#image = new ImageData(width, height);
    const pixels = new Uint32Array(this.#image.data.buffer);
    pixels.fill(0xff000000);
    this.#shadow = { width, height, pixels };
  }

  #restore() {
    if (this.width > 0) this.context.putImageData(this.#image, 0, 0);
  }
}
