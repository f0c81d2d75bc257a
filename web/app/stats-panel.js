/** The statistics panel. */

import { byId, element, setText, within } from './dom.js';

/** @import { Stats } from '../media/messages.js' */

const SPARK_WIDTH = 120;
const SPARK_HEIGHT = 28;
/** The spark line's full height is at least this many milliseconds, so that small times look small. */
const SPARK_LEAST_MS = 16;

/** @type {readonly (readonly [string, (stats: Stats) => string])[]} */
const FIGURES = [
  ['Key to pixel', ({ keyToPixelMs, keyToPixelLastMs }) => (
    keyToPixelMs === null ? '–' : `${ms(keyToPixelMs)} · last ${ms(keyToPixelLastMs)}`)],
  ['Round trip', ({ rttMs }) => ms(rttMs)],
  ['Frames', ({ fps, frames }) => `${Math.round(fps)}/s · ${frames.toLocaleString('en')}`],
  ['Bandwidth', ({ bytesPerSecond }) => rate(bytesPerSecond)],
  ['Server', ({ serverMs }) => ms(serverMs)],
  ['Decode and paint', ({ decodeMs }) => ms(decodeMs)],
  ['Desktop', ({ desktopWidth, desktopHeight }) => `${desktopWidth} × ${desktopHeight}`],
  ['Mode', ({ mode }) => (mode === 'tiles' ? 'Lossless tiles' : mode)],
  ['Viewers', ({ viewers }) => String(viewers)],
];

/** Figures about the connection and the picture. */
export class StatsPanel {
  #root = byId('stats', HTMLElement);
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
      if (node) setText(node, value(stats));
    }
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
