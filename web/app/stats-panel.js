/** The statistics panel. */

import { byId, element, setText, within } from './dom.js';

/** @import { Stats, WorkerStats } from '../media/messages.js' */

const SPARK_WIDTH = 120;
const SPARK_HEIGHT = 28;
/** The spark line's full height is at least this many milliseconds, so that small times look small. */
const SPARK_LEAST_MS = 16;

/** What is empty is not shown. @type {readonly (readonly [string, (stats: Stats) => string])[]} */
const FIGURES = [
  ['Key to pixel', ({ keyToPixelMs, keyToPixelLastMs }) => (
    keyToPixelMs === null ? '–' : `${ms(keyToPixelMs)} · last ${ms(keyToPixelLastMs)}`)],
  ['Round trip', ({ rttMs }) => ms(rttMs)],
  ['Frames', ({ fps, frames }) => `${Math.round(fps)}/s · ${frames.toLocaleString('en')}`],
  ['Bandwidth', ({ bytesPerSecond, bitrate }) => (
    bitrate === null ? rate(bytesPerSecond) : `${rate(bytesPerSecond)} · up to ${rate(bitrate / 8)}`)],
  ['Server', ({ serverMs }) => ms(serverMs)],
  ['Decode and paint', ({ decodeMs }) => ms(decodeMs)],
  ['Desktop', ({ desktopWidth, desktopHeight }) => `${desktopWidth} × ${desktopHeight}`],
  ['Picture', ({ mode }) => (mode === 'video' ? 'Video and tiles' : 'Lossless tiles')],
  ['Limited by', ({ bottleneck }) => LIMITS[bottleneck]],
  ['Viewers', ({ viewers }) => String(viewers)],
];

/** @type {Readonly<Record<Stats['bottleneck'], string>>} */
const LIMITS = { nothing: '', server: 'the server', network: 'the network', browser: 'this browser' };

/** What there is to say where video does not come as video. @type {Readonly<Record<Stats['h264'], string>>} */
const HINTS = {
  yes: '',
  no: 'This browser has no H.264: video is shown at a lower rate.',
  failed: 'This browser could not decode the video: it is shown at a lower rate.',
  insecure: 'Without a secure connection there is no H.264: video is shown at a lower rate.',
  off: 'H.264 is switched off in this page’s address: video is shown at a lower rate.',
};

/** The figures before there are any. @returns {WorkerStats} */
export function noStats() {
  return {
    fps: 0, rttMs: null, keyToPixelMs: null, keyToPixelLastMs: null, keyToPixelP95Ms: null,
    keyToPixelCount: 0, bytesPerSecond: 0, mode: 'tiles', exact: false, frames: 0, keyframes: 0,
    undecodable: 0, mismatches: 0, refreshes: 0, videoUnits: 0, videoSkipped: 0, videoFailed: false,
    bottleneck: 'nothing', bitrate: null, debtMs: 0, decodeMs: null, serverMs: null, queued: 0,
    desktopWidth: 0, desktopHeight: 0, decodeTimes: [],
  };
}

/** Figures about the connection and the picture. */
export class StatsPanel {
  #root = byId('stats', HTMLElement);
  #hint = byId('stats-hint', HTMLElement);
  #exactness = byId('exactness', HTMLElement);
  #line = /** @type {SVGPolylineElement} */ (document.querySelector('#spark polyline'));
  /** @type {HTMLElement[]} */
  #values = [];

  /** @param {() => void} onClose */
  constructor(onClose) {
    byId('stats-close', HTMLButtonElement).addEventListener('click', onClose);
    const list = byId('figures', HTMLElement);
    for (const [name] of FIGURES) {
      const row = document.createElement('div');
      const value = element('dd', '–');
      row.append(element('dt', name), value);
      list.append(row);
      this.#values.push(value);
    }
  }

  /** @param {boolean} isOpen @param {Stats} stats */
  render(isOpen, stats) {
    this.#root.hidden = !isOpen;
    if (!isOpen) return;
    for (const [at, [, value]] of FIGURES.entries()) {
      const node = this.#values[at];
      const text = value(stats);
      if (node.parentElement) node.parentElement.hidden = text === '';
      setText(node, text);
    }
    setText(this.#hint, HINTS[stats.h264]);
    this.#hint.hidden = stats.h264 === 'yes';
    this.#exactness.dataset.exact = String(stats.exact);
    setText(within(this.#exactness, 'span'), stats.exact ? 'Exact: every pixel verified' : 'Not verified at this moment');
    this.#line.setAttribute('points', spark(stats.decodeTimes));
  }
}

/** @param {readonly number[]} times */
function spark(times) {
  const most = Math.max(SPARK_LEAST_MS, ...times);
  const step = SPARK_WIDTH / Math.max(times.length - 1, 1);
  const at = (/** @type {number} */ time) => SPARK_HEIGHT - 1 - (time / most) * (SPARK_HEIGHT - 2);
  return times.map((time, x) => `${(x * step).toFixed(1)},${at(time).toFixed(1)}`).join(' ');
}

/** @param {number | null} value */
function ms(value) {
  if (value === null) return '–';
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

/** @param {number} bytes */
function rate(bytes) {
  if (bytes < 1000) return `${Math.round(bytes)} B/s`;
  return bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB/s` : `${(bytes / 1e6).toFixed(1)} MB/s`;
}
