/** A canvas that nobody sees, for turning pictures into pixels where nothing better is to be had. */

/** @import { Rect } from '../protocol/types.js' */

/** Draws pictures and reads them back, one at a time. */
export class Scratch {
  /** @type {OffscreenCanvasRenderingContext2D | null} */
  #context = null;

  /**
   * @param {CanvasImageSource} picture drawn at its top left corner
   * @param {Rect} rect what to read of it
   * @returns {Uint32Array}
   */
  read(picture, { x, y, width, height }) {
    const context = this.#room(x + width, y + height);
    context.drawImage(picture, 0, 0);
    return new Uint32Array(context.getImageData(x, y, width, height).data.buffer);
  }

  /** @param {number} width @param {number} height */
  #room(width, height) {
    const canvas = this.#context?.canvas ?? new OffscreenCanvas(width, height);
    if (canvas.width < width) canvas.width = width;
    if (canvas.height < height) canvas.height = height;
    this.#context ??= canvas.getContext('2d', { alpha: false, willReadFrequently: true });
    if (!this.#context) throw new Error('the browser gives no 2D context');
    return this.#context;
  }
}
