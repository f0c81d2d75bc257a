/** The canvas on the page: its place, its cursor, and the size of the room around it. */

import { place } from './fit.js';

/** @import { Size } from './fit.js' */

/** The room for the desktop. */
export class Stage {
  #element;
  #canvas;
  #onResize;
  /** In device pixels, the scroll bars' room included. @type {Size} */
  #size;
  /** @type {Size} */
  #desktop = { width: 0, height: 0 };
  /** @type {import('./fit.js').Mode} */
  #mode = 'fit';

  /**
   * @param {HTMLElement} element
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onResize
   */
  constructor(element, canvas, onResize) {
    this.#element = element;
    this.#canvas = canvas;
    this.#onResize = onResize;
    this.#size = inDevicePixels(element.getBoundingClientRect());
    const observer = new ResizeObserver(([entry]) => {
      this.#resized(sizeOf(entry, element));
    });
    try {
      observer.observe(element, { box: 'device-pixel-content-box' });
    } catch {
      observer.observe(element);
    }
  }

  /** In device pixels. */
  get size() {
    return this.#size;
  }

  /** @param {Size} desktop @param {import('./fit.js').Mode} mode */
  show(desktop, mode) {
    this.#desktop = desktop;
    this.#mode = mode;
    this.#arrange();
  }

  /** The pointer's shape. @param {import('../protocol/types.js').Cursor} cursor */
  setCursor({ hotX, hotY, width, height, png }) {
    if (width === 0 || height === 0) {
      this.#canvas.style.cursor = 'none';
      return;
    }
    const url = `url("data:image/png;base64,${base64(png)}")`;
    const ratio = devicePixelRatio;
    const image = ratio === 1 ? url : `image-set(${url} ${ratio}x)`;
    this.#canvas.style.cursor = `${image} ${Math.round(hotX / ratio)} ${Math.round(hotY / ratio)}, default`;
  }

  /** @param {Size} size */
  #resized(size) {
    this.#size = size;
    this.#arrange();
    this.#onResize();
  }

  #arrange() {
    if (this.#desktop.width === 0) return;
    const at = place({ mode: this.#mode, desktop: this.#desktop, stage: this.#size, ratio: devicePixelRatio });
    const { style } = this.#canvas;
    style.left = `${at.left}px`;
    style.top = `${at.top}px`;
    style.width = `${at.width}px`;
    style.height = `${at.height}px`;
    style.imageRendering = at.sharp && at.scale > 1 ? 'pixelated' : 'auto';
    this.#element.dataset.view = this.#mode;
  }
}

/**
 * What the browser says in device pixels is exact, but where a device's ratio is only emulated it
 * may be in other pixels; then the ratio is what counts.
 * @param {ResizeObserverEntry | undefined} entry @param {HTMLElement} element @returns {Size}
 */
function sizeOf(entry, element) {
  const rough = inDevicePixels(element.getBoundingClientRect());
  const exact = entry?.devicePixelContentBoxSize?.[0];
  if (!exact || Math.abs(exact.inlineSize - rough.width) > 2) return rough;
  return { width: exact.inlineSize, height: exact.blockSize };
}

/** @param {{ width: number, height: number }} box in CSS pixels @returns {Size} */
function inDevicePixels({ width, height }) {
  return { width: Math.floor(width * devicePixelRatio), height: Math.floor(height * devicePixelRatio) };
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  const chunks = [];
  for (let at = 0; at < bytes.length; at += 8192) chunks.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
  return btoa(chunks.join(''));
}
