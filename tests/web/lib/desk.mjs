// @ts-check
/** A desktop that a test draws itself, frame by frame, behind an impostor. */

import assert from 'node:assert/strict';
import { VERSION } from '../../../web/protocol/packets.js';
import { encodeServer } from './mirror.mjs';
import { visible } from './picture.mjs';
import { eventually, patience, sleep } from './wait.mjs';

/** @import { Op, VideoOp, Rect } from '../../../web/protocol/types.js' */

/** After this long a picture that does not come is taken for one that never does. */
const SHOWN_MS = 2000;

/** @typedef {Omit<Rect, 'x' | 'y'>} Size */

/** One viewer's desktop. */
export class Desk {
  #size;
  #id = 0;
  /** @readonly */
  viewer;

  /** @param {import('./impostor.mjs').Viewer} viewer @param {Size} size */
  constructor(viewer, size) {
    this.viewer = viewer;
    this.#size = size;
  }

  /**
   * Lets the next viewer in and shows it a desktop of one colour.
   * @param {import('./impostor.mjs').Impostor} impostor @param {Size} size @param {number} color
   * @param {import('../../../web/protocol/types.js').Role} role
   */
  static next(impostor, size, color, role = 'own') {
    /** @type {Promise<Desk>} */
    const desk = new Promise((resolve) => {
      impostor.answer = (viewer) => resolve(new Desk(viewer, size));
    });
    return desk.then(async (desk) => {
      await desk.heard('hello');
      const { viewer } = desk;
      viewer.send(encodeServer({ type: 'welcome', version: VERSION, viewer: 1, role, minWidth: 1, minHeight: 1, maxWidth: 1, maxHeight: 1, name: 'Desk' }));
      viewer.display('live', '');
      desk.keyframe(color);
      return desk;
    });
  }

  /** The last packet of a type that the viewer sent. @param {string} type */
  heard(type) {
    return eventually(`the viewer to say ${type}`, () => this.viewer.said.findLast((packet) => packet.type === type));
  }

  /** @param {string} type */
  count(type) {
    return this.viewer.said.filter((packet) => packet.type === type).length;
  }

  get capabilities() {
    const hello = this.viewer.said.find((packet) => packet.type === 'hello');
    return hello?.type === 'hello' ? hello.capabilities : 0;
  }

  /** Sends a frame. @param {Op[]} ops @param {{ keyframe?: boolean, refresh?: boolean, epoch?: number }} flags */
  frame(ops, { keyframe = false, refresh = false, epoch = 1 } = {}) {
    this.#id += 1;
    this.viewer.send(encodeServer({
      type: 'frame', keyframe: keyframe ? this.#size : null, refresh: refresh ? 1 : null, epoch, id: this.#id,
      echoViewer: 0, echoSeq: 0, costUs: 0, ops,
    }));
  }

  /** @param {number} color @param {Op[]} ops @param {{ epoch?: number }} more */
  keyframe(color, ops = [], more = {}) {
    this.frame([{ kind: 'fill', x: 0, y: 0, ...this.#size, color }, ...ops], { keyframe: true, refresh: true, ...more });
  }

  /** Waits until the viewer has acknowledged all frames. */
  async settled() {
    await eventually(`frame ${this.#id} to be acknowledged`, () => (
      this.viewer.said.some((packet) => packet.type === 'ack' && packet.id === this.#id)));
  }
}

/**
 * Checks that the visible canvas comes to have these colours, all at once; it shows a frame a moment
 * after the viewer painted it.
 * @param {import('playwright-core').Page} page
 * @param {[x: number, y: number, color: number][]} points
 * @param {number} tolerance of each of red, green and blue
 */
export async function assertColors(page, points, tolerance = 0) {
  const deadline = Date.now() + patience(SHOWN_MS);
  for (;;) {
    const wrong = await firstWrong(page, points, tolerance);
    if (wrong === '') return;
    assert.ok(Date.now() < deadline, wrong);
    await sleep(50);
  }
}

/** @param {import('playwright-core').Page} page @param {[number, number, number][]} points @param {number} tolerance */
async function firstWrong(page, points, tolerance) {
  const { width, data } = await visible(page);
  for (const [x, y, color] of points) {
    const shown = data.readUIntBE((y * width + x) * 4, 3);
    const isFar = [16, 8, 0].some((bit) => Math.abs(((shown >> bit) & 255) - ((color >> bit) & 255)) > tolerance);
    if (isFar) return `(${x}, ${y}) is ${shown.toString(16).padStart(6, '0')} and not ${color.toString(16).padStart(6, '0')}`;
  }
  return '';
}

/** An operation of video. @param {Rect} place @param {Uint8Array<ArrayBuffer>} data @param {Partial<VideoOp>} more @returns {VideoOp} */
export function video(place, data, more = {}) {
  return {
    kind: 'video', ...place, stream: 0, keyframe: false, codedWidth: place.width + (place.width & 1),
    codedHeight: place.height + (place.height & 1), damage: [place], data, ...more,
  };
}
