/**
 * Brings decoded pictures of video into the shadow.
 *
 * The shadow stays the whole picture, so that copies, rectangles that are joined and hashes are right,
 * and the canvas is painted from it alone. Measured in Chromium 156 without a GPU, 2 cores that others
 * were using too, one frame a display refresh; milliseconds until painted / of processor, all of the
 * browser's processes, of which 4 (720p) and 7 (1080p) go to showing any changed canvas:
 *
 * | | 640x360 | 1280x720 | 1920x1080 |
 * |---|---|---|---|
 * | `copyTo` straight into the shadow, `putImageData` | 1.4 / 3.8 | 7.7 / 8.0 | 10.4 / 12.7 |
 * | `copyTo` into a buffer, rows to the shadow, `putImageData` | 1.4 / 4.2 | 6.6 / 9.5 | 17.0 / 15.3 |
 * | `copyTo` as I420, converted here, `putImageData` | 3.1 / 5.7 | 18.6 / 14.3 | 37.0 / 33.0 |
 * | `drawImage`, `getImageData` | 3.4 / 6.7 | 12.1 / 15.8 | 37.9 / 35.8 |
 * | `createImageBitmap`, `drawImage`, `getImageData` | 10.7 / 13.3 | 20.5 / 20.2 | 33.2 / 33.8 |
 */

import { cut, isPixelForPixel, sourceOf, stretch } from '../client/stretch.js';
import { Scratch } from './scratch.js';

/** @import { Rect, VideoOp } from '../protocol/types.js' */
/** @import { Shadow } from '../client/frame.js' */

/** Reads pictures. */
export class PictureReader {
  /** Whether the browser copies pictures as RGBA. */
  #canCopy = true;
  #scratch = new Scratch();
  #buffer = new Uint32Array(0);

  /**
   * Paints the damage of a unit; its picture is closed by the caller.
   * @param {Shadow} shadow @param {VideoOp} op @param {VideoFrame} picture
   */
  async paint(shadow, op, picture) {
    const isWhole = isPixelForPixel(op);
    for (const damage of op.damage) {
      const source = sourceOf(op, damage);
      const fits = isWhole && source.width === damage.width && source.height === damage.height;
      if (fits && this.#canCopy && await this.#copy(picture, source, shadow, damage)) continue;
      const pixels = await this.#read(picture, source);
      (isWhole ? cut : stretch)(shadow, op, damage, source, pixels);
    }
  }

  /** @param {VideoFrame} picture @param {Rect} source @returns {Promise<Uint32Array>} */
  async #read(picture, source) {
    const { width, height } = source;
    if (this.#buffer.length < width * height) this.#buffer = new Uint32Array(width * height);
    const room = { pixels: this.#buffer, width };
    if (this.#canCopy && await this.#copy(picture, source, room, { x: 0, y: 0 })) return this.#buffer;
    return this.#scratch.read(picture, source);
  }

  /**
   * @param {VideoFrame} picture @param {Rect} source
   * @param {{ pixels: Uint32Array, width: number }} to @param {{ x: number, y: number }} at
   * @returns {Promise<boolean>} false where the browser cannot
   */
  async #copy(picture, source, { pixels, width }, { x, y }) {
    const layout = [{ offset: (y * width + x) * 4, stride: width * 4 }];
    const bytes = new Uint8Array(/** @type {ArrayBuffer} */ (pixels.buffer), pixels.byteOffset, pixels.byteLength);
    this.#canCopy = await copyAsRgba(picture, bytes, source, layout);
    return this.#canCopy;
  }
}

/**
 * @param {VideoFrame} picture @param {Uint8Array<ArrayBuffer>} bytes @param {Rect} rect
 * @param {PlaneLayout[]} [layout] @returns {Promise<boolean>} false where the browser cannot
 */
export async function copyAsRgba(picture, bytes, rect, layout) {
  /** @type {VideoFrameCopyToOptions & { format: string }} */
  const options = { format: 'RGBA', rect, ...(layout && { layout }) };
  try {
    // A browser that does not know the format copies the planes as they are.
    return (await picture.copyTo(bytes, options)).length === 1;
  } catch (error) {
    const isUnknown = error instanceof TypeError
      || (error instanceof DOMException && error.name === 'NotSupportedError');
    if (isUnknown) return false;
    throw error;
  }
}
