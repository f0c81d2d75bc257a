// @ts-check
/** TigerVNC's Xvnc with noVNC, as they are by default: Tight, JPEG quality 6, refined when it rests. */

import { waitState } from '../../lib/browser.mjs';
import { Stage } from '../../lib/stage.mjs';
import { eventually } from '../../lib/wait.mjs';
import { freePort } from '../desk.mjs';
import { bytesSent, canvasSurface, debian, listening, npm, start } from './common.mjs';

const HERE = import.meta.dirname;
const CANVAS = '#desk canvas';

/** @type {import('../desk.mjs').Candidate & { install: () => void }} */
export const peer = { name: 'TigerVNC', install, start: serve };

function install() {
  debian(['tigervnc-standalone-server', 'websockify', 'iproute2']);
  npm();
}

/** @param {import('../desk.mjs').Wish} wish @returns {Promise<import('../desk.mjs').Desk>} */
async function serve({ width, height, publicPort }) {
  const [rfb, port] = [await freePort(), await freePort()];
  const xvnc = start('Xvnc', [
    '-displayfd', '1', '-geometry', `${width}x${height}`, '-depth', '24', '-rfbport', `${rfb}`, '-localhost',
    '-SecurityTypes', 'None', '-AlwaysShared', '-noreset', '-nolisten', 'tcp']);
  const display = await eventually('the number of Xvnc', () => /^\d+$/m.exec(xvnc.log)?.[0]);
  const bridge = start('websockify', ['--web', HERE, `127.0.0.1:${port}`, `127.0.0.1:${rfb}`]);
  await listening(port, bridge);
  const stage = new Stage();
  await stage.say('attach', display);
  return {
    stage, port, canvas: CANVAS,
    url: `http://127.0.0.1:${publicPort ?? port}/tigervnc.html`,
    processes: () => ({ xvnc: xvnc.pids(), websockify: bridge.pids() }),
    bytes: () => bytesSent(port),
    buckets: async () => [],
    async ready(page) {
      await waitState(page, 'live');
      await page.locator(CANVAS).focus();
    },
    surface: (page) => canvasSurface(page, CANVAS),
    claims: async () => true,
    async end() {
      await stage.end();
      await bridge.end();
      await xvnc.end();
    },
  };
}
