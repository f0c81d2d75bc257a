/** Where the desktop goes on the stage. Pure. */

/**
 * @typedef {'fit' | 'actual' | 'resize'} Mode
 * @typedef {{ width: number, height: number }} Size
 * @typedef {{ left: number, top: number, width: number, height: number, scale: number,
 *   sharp: boolean }} Place in CSS pixels; `scale` is screen pixels per desktop pixel, `sharp`:
 *   every desktop pixel is a whole number of screen pixels
 */

/**
 * At 1:1 a desktop pixel is a pixel of the device, so text is never resampled. Fit makes a desktop
 * smaller as far as it must, and larger only by whole numbers.
 * @param {{ mode: Mode, desktop: Size, stage: Size, ratio: number }} from `stage` in device pixels,
 *   `ratio` as `devicePixelRatio`
 * @returns {Place}
 */
export function place({ mode, desktop, stage, ratio }) {
  const room = Math.min(stage.width / desktop.width, stage.height / desktop.height);
  const scale = mode === 'actual' ? 1 : room >= 1 ? Math.floor(room) : room;
  const [width, height] = [desktop.width * scale, desktop.height * scale];
  const centred = (/** @type {number} */ around, /** @type {number} */ length) => (
    Math.max(0, Math.floor((around - length) / 2)) / ratio);
  return {
    left: centred(stage.width, width), top: centred(stage.height, height),
    width: width / ratio, height: height / ratio, scale, sharp: Number.isInteger(scale),
  };
}

/**
 * The size to ask for so that the desktop fills the stage.
 * @param {Size} stage in device pixels
 * @param {{ minWidth: number, minHeight: number, maxWidth: number, maxHeight: number }} limits
 * @returns {Size}
 */
export function wishedSize(stage, limits) {
  const clamp = (/** @type {number} */ value, /** @type {number} */ least, /** @type {number} */ most) => (
    Math.min(Math.max(value, least), most));
  return {
    width: clamp(stage.width, limits.minWidth, limits.maxWidth),
    height: clamp(stage.height, limits.minHeight, limits.maxHeight),
  };
}
