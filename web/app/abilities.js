/** What this browser can do for the picture, and what is said where it withholds something. */

import { byId, setText } from './dom.js';

/** @typedef {import('../media/messages.js').Stats['h264']} H264 */

/** Constrained baseline of level 3.1: what the server sends is no more demanding in kind. */
const CODEC = 'avc1.42001f';

/**
 * Whether the browser decodes H.264; `?h264=off` in the page's address makes it do without.
 * @param {string} search of the page's address
 * @returns {Promise<H264>}
 */
export async function findH264(search) {
  if (new URLSearchParams(search).get('h264') === 'off') return 'off';
  if (!isSecureContext) return 'insecure';
  if (typeof VideoDecoder !== 'function') return 'no';
  const config = { codec: CODEC, optimizeForLatency: true };
  const { supported } = await VideoDecoder.isConfigSupported(config).catch(() => ({ supported: false }));
  return supported ? 'yes' : 'no';
}

/**
 * Outside secure contexts browsers withhold things; once a tab it is said what.
 * @param {{ imageDecoder: boolean, h264: H264 }} found
 * @param {() => void} onClose
 */
export function noticeInsecure({ imageDecoder, h264 }, onClose) {
  const missing = [
    ...(navigator.keyboard ? [] : ['passing all keys on in full screen']),
    ...(imageDecoder ? [] : ['the fast way of decoding pictures']),
    ...(h264 === 'insecure' ? ['smooth video'] : []),
  ];
  if (isSecureContext || missing.length === 0 || sessionStorage.getItem('notice') === 'seen') return;
  const notice = byId('notice', HTMLElement);
  setText(byId('notice-text', HTMLElement), `The desktop works, but the browser withholds ${listed(missing)}.`);
  notice.hidden = false;
  byId('notice-close', HTMLButtonElement).addEventListener('click', () => {
    notice.hidden = true;
    sessionStorage.setItem('notice', 'seen');
    onClose();
  }, { once: true });
}

/** @param {string[]} things at least one */
function listed(things) {
  return new Intl.ListFormat('en').format(things);
}
