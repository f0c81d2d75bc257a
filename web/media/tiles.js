/**
 * Decodes PNG tiles to RGBA pixels, in buffers that are used again.
 *
 * `ImageDecoder` is several times faster; where it is missing (a page without a secure context)
 * `createImageBitmap` does it. A PNG that states another size than its rectangle is refused before
 * anything is made for it.
 */

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
    if (!statesSize(op)) throw new Error('a tile has not the size of its rectangle');
    if (this.#fast) {
      const pixels = await this.#decodeFast(op);
      if (pixels) return pixels;
      this.#fast = false;
    }
    return this.#scratch.decode(op);
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
        /** @type {VideoFrameCopyToOptions & { format: string }} */
        const options = { format: 'RGBA', rect: { x: 0, y: 0, width, height } };
        const layout = await image.copyTo(new Uint8Array(pixels.buffer, 0, pixels.byteLength), options)
          .catch(notSupported);
        return layout && pixels;
      } finally {
        image.close();
      }
    } finally {
      decoder.close();
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

/** @param {unknown} error @returns {null} */
function notSupported(error) {
  if (error instanceof DOMException && error.name === 'NotSupportedError') return null;
  if (error instanceof TypeError) return null;
  throw error;
}

/** The size in a PNG's first chunk. @param {PngOp} op */
function statesSize({ data, width, height }) {
  if (data.length < 24) return false;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return view.getUint32(16) === width && view.getUint32(20) === height;
}

/** Decoding through a canvas, one tile at a time. */
class Scratch {
  /** @type {OffscreenCanvasRenderingContext2D | null} */
  #context = null;

  /** @param {PngOp} op @returns {Promise<Uint32Array>} */
  async decode({ data, width, height }) {
    const blob = new Blob([data], { type: 'image/png' });
    const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
    try {
      const context = this.#room(width, height);
      context.drawImage(bitmap, 0, 0);
      return new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    } finally {
      bitmap.close();
    }
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
