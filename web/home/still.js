/** Judges a desktop's picture before anything decodes it: its agent is nobody's friend. Pure. */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** What agents send at most, in pixels a side. */
const MOST = Object.freeze({ width: 384, height: 240 });

/**
 * The size that a PNG says it has (ISO/IEC 15948, 11.2.2), or nothing where it is none or larger than a
 * card has use for: a small file may unfold to gigabytes.
 * @param {Uint8Array} bytes
 */
export function stillSize(bytes) {
  const isPng = bytes.length > 33 && SIGNATURE.every((byte, at) => bytes[at] === byte)
    && String.fromCharCode(...bytes.subarray(12, 16)) === 'IHDR';
  if (!isPng) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  return width >= 1 && width <= MOST.width && height >= 1 && height <= MOST.height ? { width, height } : null;
}

/** So much may pixels of one colour differ, of 255 a channel. */
const ALIKE = 6;

/**
 * Whether nothing is to be seen in a picture: it is all of one colour, as a screen is before anything was
 * drawn on it.
 * @param {Uint8ClampedArray} pixels as `ImageData` has them
 */
export function isBlank(pixels) {
  const [red = 0, green = 0, blue = 0] = pixels;
  for (let at = 0; at < pixels.length; at += 4) {
    const differs = Math.abs((pixels[at] ?? 0) - red) > ALIKE || Math.abs((pixels[at + 1] ?? 0) - green) > ALIKE || Math.abs((pixels[at + 2] ?? 0) - blue) > ALIKE;
    if (differs) return false;
  }
  return true;
}
