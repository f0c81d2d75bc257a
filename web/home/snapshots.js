/** What the dialog of snapshots shows: `apply` says what an event makes of it. Pure. */

/** @import { Browsed, SnapshotsEvent, SnapshotsModel } from './kept.js' */

/** @returns {SnapshotsModel} */
export const initial = () => ({ kind: null, snapshots: null, folder: null, preview: null, asked: null, busy: '', problem: null });

/** @param {SnapshotsModel} model @param {SnapshotsEvent} event @returns {SnapshotsModel} */
export function apply(model, event) {
  switch (event.type) {
    case 'asking': return { ...model, busy: event.what, problem: null };
    case 'refused': return { ...model, busy: '', problem: event.problem };
    case 'listed': return { ...model, busy: '', problem: null, kind: event.kind, snapshots: event.snapshots };
    case 'browsed': return { ...model, busy: '', problem: null, preview: null, asked: null, folder: event.folder };
    case 'previewed': return { ...model, busy: '', problem: null, preview: event.preview };
    case 'ask': return { ...model, problem: null, asked: event.asked };
    case 'restored': return { ...model, busy: '', problem: null, asked: null };
    case 'back': return back(model);
  }
}

/** One step: from a question, a preview, or a snapshot. @param {SnapshotsModel} model @returns {SnapshotsModel} */
function back(model) {
  if (model.asked) return { ...model, asked: null, problem: null };
  if (model.preview) return { ...model, preview: null, problem: null };
  return { ...model, folder: null, problem: null };
}

/** The folders above and with the one that is looked into, each with its whole path. @param {string} path */
export function crumbs(path) {
  const names = path === '' ? [] : path.split('/');
  return names.map((name, at) => ({ name, path: names.slice(0, at + 1).join('/') }));
}

/** @param {Pick<Browsed, 'path'>} folder @param {string} name */
export const within = ({ path }, name) => (path === '' ? name : `${path}/${name}`);

/** @type {Readonly<Record<string, string>>} */
const PICTURES = { png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', gif: 'image/gif', webp: 'image/webp', bmp: 'image/bmp', avif: 'image/avif' };

/** The type of a picture, by its name; nothing where it is none that is safe to show. @param {string} name */
export const pictureType = (name) => PICTURES[name.toLowerCase().split('.').at(-1) ?? ''] ?? null;

/** So much of a text is shown. */
export const MOST_TEXT = 64 * 1024;
/** Larger pictures are only downloaded. */
export const MOST_PICTURE = 8 * 1024 * 1024;

/** The text that these bytes are; nothing where they are none. @param {Uint8Array} bytes @param {boolean} isCut whether there are more */
export function textOf(bytes, isCut) {
  if (bytes.includes(0)) return null;
  try {
    // A character may be cut in two.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: isCut });
  } catch {
    return null;
  }
}

const UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB'];

/** A length in its largest unit. @param {number} bytes */
export function size(bytes) {
  let unit = 0;
  let count = bytes;
  while (count >= 999.5 && unit < UNITS.length - 1) {
    count /= 1000;
    unit += 1;
  }
  if (unit === 0) return count === 1 ? '1 byte' : `${count} bytes`;
  return `${count < 9.95 ? count.toFixed(1) : Math.round(count)} ${UNITS[unit]}`;
}
