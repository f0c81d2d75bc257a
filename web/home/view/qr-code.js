/** A QR code that a phone or tablet reads off the screen. */

import { h } from '../../vendor/preact/preact.mjs';
import { qrPath } from '../qr.js';

/** @param {{ text: string, label: string }} props */
export function QrCode({ text, label }) {
  const { size, path } = qrPath(text);
  return h('svg', { class: 'qr', viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': label, 'shape-rendering': 'crispEdges' },
    h('path', { d: path }));
}
