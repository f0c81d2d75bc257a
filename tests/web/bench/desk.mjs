// @ts-check
/** Lattice as a candidate: what is asked of it and of its peers (`peers/`) alike. */

import { createServer } from 'node:net';
import { waitState, worker } from '../lib/browser.mjs';
import { Share } from '../lib/share.mjs';
import { Stage } from '../lib/stage.mjs';
import { sumOf, bucketsOf } from './figures.mjs';

/**
 * @typedef {import('playwright-core').Page} Page
 * @typedef {{ width: number, height: number, publicPort?: number }} Wish `publicPort` is of the relay that
 *   the browser goes through
 * @typedef {object} Desk a desktop in a browser
 * @property {Stage} stage what draws on it
 * @property {number} port where it serves
 * @property {string} url what the browser opens
 * @property {string} canvas the visible one, by a selector
 * @property {() => Record<string, number[]>} processes of the server side by name; `x` is an X server of its own
 * @property {() => Promise<number>} bytes sent to the browser so far
 * @property {(page: Page) => Promise<void>} ready resolves when it is live and takes keys
 * @property {(page: Page) => Promise<import('./probe.mjs').Target>} surface the thread that paints, with `benchSurface` set
 * @property {(page: Page) => Promise<boolean>} claims whether it says itself that all is exact
 * @property {() => Promise<[number, number][]>} buckets of the time from damage to write, where it counts them
 * @property {() => Promise<void>} end
 * @typedef {{ name: string, start: (wish: Wish) => Promise<Desk> }} Candidate
 */

/** @type {Candidate} */
export const lattice = { name: 'Lattice', start };

/** @param {Wish} wish @returns {Promise<Desk>} */
async function start({ width, height, publicPort }) {
  const stage = await Stage.start(width, height);
  const port = await freePort();
  const behind = publicPort ? ['--public-url', `http://127.0.0.1:${publicPort}`] : [];
  const share = await Share.start(stage, '--listen', `127.0.0.1:${port}`, ...behind);
  const agent = await share.agent();
  const metrics = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { Authorization: `Bearer ${share.token}` } });
    return answer.text();
  };
  return {
    stage, port, canvas: '#screen',
    url: `http://127.0.0.1:${publicPort ?? port}/d/share#${share.token}`,
    processes: () => ({ agent: [agent], gateway: [share.pid], x: [stage.pid] }),
    bytes: async () => sumOf(await metrics(), 'lattice_ws_bytes_total', 'dir="out"'),
    buckets: async () => bucketsOf(await metrics(), 'lattice_damage_to_write_seconds'),
    async ready(page) {
      await waitState(page, 'live');
      await page.locator('#screen').focus();
    },
    surface: viewerSurface,
    claims: (page) => page.evaluate(() => (/** @type {any} */ (window)).lattice.stats().exact),
    async end() {
      await share.end();
      await stage.end();
    },
  };
}

/** A port that nobody listens on. @returns {Promise<number>} */
export function freePort() {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/** The thread of a viewer that paints, with `benchSurface` set. @param {Page} page */
export async function viewerSurface(page) {
  const painter = await worker(page);
  await painter.evaluate(surface);
  return painter;
}

/** Runs in the viewer's worker. */
function surface() {
  const own = /** @type {any} */ (self);
  const { context } = own.lattice;
  own.benchSurface = {
    read: (/** @type {[number, number, number, number][]} */ areas) => areas.map((area) => context.getImageData(...area).data),
    wrap(/** @type {() => void} */ after) {
      for (const name of ['putImageData', 'drawImage', 'fillRect']) {
        const paint = context[name];
        context[name] = (/** @type {any[]} */ ...args) => {
          paint.apply(context, args);
          after();
        };
      }
    },
  };
}
