// @ts-check
/**
 * xpra sharing a whole desktop. Its server is built from PyPI, which takes some five minutes. Its own
 * HTML5 client is in no package registry, so the viewer is npm's port of it, `xpra-html5-client`, which
 * is of 2022: read its figures as those of this pair. The search for scrolls fails in 6.5.5 with an
 * exception and then nothing is shown any more, so it is off; to 6.4.4, where it works, this viewer
 * can send no keys.
 */

import { waitState } from '../../lib/browser.mjs';
import { Stage } from '../../lib/stage.mjs';
import { freePort } from '../desk.mjs';
import { bytesSent, canvasSurface, debian, listening, npm, start, venv } from './common.mjs';

const HERE = import.meta.dirname;
const CANVAS = 'canvas';
const PACKAGES = ['xpra==6.5.5', 'pillow==13.0.0', 'lz4==4.4.5'];
/** What its build asks `pkg-config` for, and what it imports. */
const DEBIAN = [
  'gcc', 'gir1.2-gtk-3.0', 'iproute2', 'libgtk-3-dev', 'liblz4-dev', 'libpam0g-dev', 'libproc2-dev', 'libspng-dev', 'libsystemd-dev',
  'libturbojpeg0-dev', 'libvpx-dev', 'libwebp-dev', 'libx264-dev', 'libxdamage-dev', 'libxkbfile-dev', 'libxrandr-dev', 'libxres-dev',
  'libxtst-dev', 'libxxhash-dev', 'libyuv-dev', 'python3-cairo-dev', 'python3-dev', 'python3-gi', 'python3-gi-cairo', 'python3-venv',
  'python-gi-dev',
];

/** @type {import('../desk.mjs').Candidate & { install: () => void }} */
export const peer = {
  name: 'xpra',
  install() {
    debian(DEBIAN);
    npm();
    programs();
  },
  start: serve,
};

/** Debian's Python, whose bindings of GTK are in no wheel. */
const programs = () => venv('xpra', PACKAGES, { python: '/usr/bin/python3', options: ['--system-site-packages'] });

/** @param {import('../desk.mjs').Wish} wish @returns {Promise<import('../desk.mjs').Desk>} */
async function serve({ width, height, publicPort }) {
  const stage = await Stage.start(width, height);
  const port = await freePort();
  const bin = programs();
  // Only its own configuration: Debian's is of another version.
  const environment = {
    ...stage.environment,
    XPRA_SYSTEM_CONF_DIRS: `${bin}/../etc/xpra`, XPRA_USER_CONF_DIRS: '/nonexistent', XPRA_MIN_SCROLL_IMAGE_SIZE: '99999',
  };
  const off = ['audio', 'daemon', 'dbus', 'http-scripts', 'mdns', 'notifications', 'printing', 'pulseaudio', 'resize-display', 'systemd-run', 'webcam'];
  const server = start(`${bin}/xpra`, [
    'desktop', stage.display, '--use-display=yes', '--sharing=yes', `--bind-ws=127.0.0.1:${port}`, `--html=${HERE}`,
    ...off.map((what) => `--${what}=no`)], environment);
  await listening(port, server);
  return {
    stage, port, canvas: CANVAS,
    url: `http://127.0.0.1:${publicPort ?? port}/xpra.html`,
    processes: () => ({ xpra: server.pids(), x: [stage.pid] }),
    bytes: () => bytesSent(port),
    buckets: async () => [],
    async ready(page) {
      await waitState(page, 'live');
      await page.locator('body').focus();
    },
    surface: (page) => canvasSurface(page, CANVAS),
    claims: async () => true,
    async end() {
      await server.end();
      await stage.end();
    },
  };
}
