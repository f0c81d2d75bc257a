/**
 * Decodes PNG tiles to RGBA pixels, in buffers that are used again.
 *
 * `ImageDecoder` is several times faster; where it is missing (a page without a secure context)
 * `createImageBitmap` does it. A PNG that states another size than its rectangle, or that it may have
 * an alpha channel, is refused before anything is made for it.
 */

import { copyAsRgba } from './pictures.js';
import { Scratch } from './scratch.js';

/** @import { PngOp } from '../protocol/types.js' */

const MAX_FREE = 24;
const SMALLEST_BUFFER = 64 << 10;

/** Decodes tiles; each result is given back by `release` once it is painted. */
export class TileDecoder {
  /** @type {ArrayBuffer[]} */
  #free = [];
  #fast = typeof ImageDecoder === 'function';
  #scratch = new Scratch();

  get isFast() {
    return this.#fast;
  }

  /** @param {PngOp} op @returns {Promise<Uint32Array>} */
  async decode(op) {
    if (!isOpaqueOfSize(op)) throw new Error('a tile is not opaque or has not the size of its rectangle');
    if (this.#fast) {
      const pixels = await this.#decodeFast(op);
      if (pixels) return pixels;
      this.#fast = false;
    }
    return this.#decodeSlowly(op);
  }

  /** @param {Uint32Array} pixels */
  release(pixels) {
    if (pixels.buffer instanceof ArrayBuffer && this.#free.length < MAX_FREE) this.#free.push(pixels.buffer);
  }

  /** @param {PngOp} op @returns {Promise<Uint32Array | null>} null where the browser cannot copy RGBA */
  async #decodeFast({ data, width, height }) {
    const decoder = new ImageDecoder({ data, type: 'image/png', colorSpaceConversion: 'none' });
    try {
      const { image } = await decoder.decode();
      try {
        const pixels = this.#buffer(width * height);
        const bytes = new Uint8Array(pixels.buffer, 0, pixels.byteLength);
        return await copyAsRgba(image, bytes, { x: 0, y: 0, width, height }) ? pixels : null;
      } finally {
        image.close();
      }
    } finally {
      decoder.close();
    }
  }

  /** @param {PngOp} op @returns {Promise<Uint32Array>} */
  async #decodeSlowly({ data, width, height }) {
    const blob = new Blob([data], { type: 'image/png' });
    const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
    try {
      return this.#scratch.read(bitmap, { x: 0, y: 0, width, height });
    } finally {
      bitmap.close();
    }
  }

  /** @param {number} area @returns {Uint32Array<ArrayBuffer>} */
  #buffer(area) {
    const bytes = area * 4;
    const at = this.#free.findIndex((buffer) => buffer.byteLength >= bytes && buffer.byteLength <= bytes * 8);
    const [found] = at >= 0 ? this.#free.splice(at, 1) : [];
    const size = Math.max(SMALLEST_BUFFER, 2 ** Math.ceil(Math.log2(bytes)));
    return new Uint32Array(found ?? new ArrayBuffer(size), 0, area);
  }
}

const RGB = 2;
const PALETTE = 3;
const TRANSPARENCY = 0x74524e53;
const DATA = 0x49444154;

/**
 * Whether the PNG's first chunk states the size of its rectangle and a colour type without alpha, and
 * no chunk before the pixels makes colours transparent.
 * @param {PngOp} op
 */
function isOpaqueOfSize({ data, width, height }) {
  if (data.length < 33) return false;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const color = data[25];
  if (view.getUint32(16) !== width || view.getUint32(20) !== height) return false;
  if (color !== RGB && color !== PALETTE && color !== 0) return false;
  for (let at = 33; at + 8 <= data.length; at += 12 + view.getUint32(at)) {
    const kind = view.getUint32(at + 4);
    if (kind === DATA) return true;
    if (kind === TRANSPARENCY) return false;
  }
  return false;
}
