// @ts-check
/** Selkies over WebSockets, as it is by default: x264 of the whole screen at 8 Mb/s, refined at rest. */

import { Stage } from '../../lib/stage.mjs';
import { eventually } from '../../lib/wait.mjs';
import { freePort } from '../desk.mjs';
import { bytesSent, debian, listening, start, venv } from './common.mjs';

const VIDEO = '#videoStream';
const PACKAGES = ['selkies==2.1.0'];

/** @type {import('../desk.mjs').Candidate & { install: () => void }} */
export const peer = {
  name: 'Selkies',
  install() {
    debian(['python3-venv', 'iproute2']);
    venv('selkies', PACKAGES);
  },
  start: serve,
};

/** @param {import('../desk.mjs').Wish} wish @returns {Promise<import('../desk.mjs').Desk>} */
async function serve({ width, height, publicPort }) {
  const stage = await Stage.start(width, height);
  const port = await freePort();
  const off = ['basic-auth', 'https', 'resize'].flatMap((what) => [`--enable-${what}`, 'false']);
  const silent = ['audio', 'microphone', 'gamepad', 'webcam'].flatMap((what) => [`--${what}-enabled`, 'false']);
  const server = start(`${venv('selkies', PACKAGES)}/selkies`, [
    '--mode', 'websockets', '--addr', '127.0.0.1', '--port', `${port}`, ...off, ...silent], stage.environment);
  await listening(port, server);
  return {
    stage, port, canvas: VIDEO,
    url: `http://127.0.0.1:${publicPort ?? port}/`,
    processes: () => ({ selkies: server.pids(), x: [stage.pid] }),
    bytes: () => bytesSent(port),
    buckets: async () => [],
    async ready(page) {
      await eventually('the first picture', () => page.evaluate((video) => (
        (/** @type {HTMLVideoElement | null} */ (document.querySelector(video)))?.videoWidth), VIDEO));
      await page.locator('#overlayInput').focus();
    },
    async surface(page) {
      await page.evaluate(surface);
      return page;
    },
    claims: async () => true,
    async end() {
      await server.end();
      await stage.end();
    },
  };
}

/** The page writes each decoded frame to the track of a `<video>`; the probe reads a clone of the last one. */
function surface() {
  /** @type {VideoFrame | null} */
  let shown = null;
  // Chroma comes in blocks of two by two.
  const even = (/** @type {number[]} */ [x = 0, y = 0, width = 0, height = 0]) => ({
    x: x & ~1, y: y & ~1, width: width + width % 2, height: height + height % 2 });
  (/** @type {any} */ (globalThis)).benchSurface = {
    read: (/** @type {number[][]} */ areas) => Promise.all(areas.map(async (area) => {
      const rect = even(area);
      const pixels = new Uint8ClampedArray(rect.width * rect.height * 4);
      await shown?.copyTo(pixels, /** @type {any} */ ({ rect, format: 'RGBA' }));
      return pixels;
    })),
    wrap(/** @type {() => void} */ after) {
      const writer = WritableStreamDefaultWriter.prototype;
      const { write } = writer;
      writer.write = function keep(chunk) {
        if (chunk instanceof VideoFrame) {
          shown?.close();
          shown = chunk.clone();
          after();
        }
        return write.call(this, chunk);
      };
    },
  };
}
