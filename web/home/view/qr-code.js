/** A QR code that a phone or tablet reads off the screen. */

import { html } from '../html.js';
import { qrPath } from '../qr.js';

/** @param {{ text: string, label: string }} props */
export function QrCode({ text, label }) {
  const { size, path } = qrPath(text);
  return html`<svg class="qr" viewBox="0 0 ${size} ${size}" role="img" aria-label=${label} shape-rendering="crispEdges">
    <path d=${path} />
  </svg>`;
}
