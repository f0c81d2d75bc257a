// @ts-check
/** H.264 for tests, made by the browser's own encoder from pictures of flat colours. */

/** @typedef {{ x: number, y: number, width: number, height: number, color: number }} Patch even, `0xRRGGBB` */

/**
 * One unit a picture; the units listed in `keys` are keyframes.
 * @param {import('playwright-core').Page} page in a secure context
 * @param {{ width: number, height: number, pictures: Patch[][], keys?: number[] }} movie
 * @returns {Promise<Uint8Array<ArrayBuffer>[]>}
 */
export async function encode(page, { width, height, pictures, keys = [0] }) {
  const units = await page.evaluate(encodeHere, { width, height, pictures, keys });
  return units.map((unit) => Uint8Array.from(Buffer.from(unit, 'base64')));
}

/** @param {{ width: number, height: number, pictures: Patch[][], keys: number[] }} movie */
async function encodeHere({ width, height, pictures, keys }) {
  /** @type {string[]} */
  const units = [];
  const encoder = new VideoEncoder({
    output(chunk) {
      const bytes = new Uint8Array(chunk.byteLength);
      chunk.copyTo(bytes);
      units.push(btoa(String.fromCharCode(...bytes)));
    },
    error(error) { throw error; },
  });
  encoder.configure({
    codec: 'avc1.42001f', width, height, bitrate: 20e6, framerate: 30, latencyMode: 'realtime', avc: { format: 'annexb' },
  });
  const planes = new Uint8Array(width * height * 1.5);
  const [half, quarter] = [width / 2, (width * height) / 4];
  const colorSpace = /** @type {const} */ ({ primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', fullRange: false });
  for (const [number, patches] of pictures.entries()) {
    for (const patch of patches) {
      const [y, u, v] = limited(patch.color);
      for (let row = patch.y; row < patch.y + patch.height; row += 1) {
        planes.fill(y, row * width + patch.x, row * width + patch.x + patch.width);
      }
      for (let row = patch.y / 2; row < (patch.y + patch.height) / 2; row += 1) {
        const start = width * height + row * half + patch.x / 2;
        planes.fill(u, start, start + patch.width / 2);
        planes.fill(v, start + quarter, start + quarter + patch.width / 2);
      }
    }
    const frame = new VideoFrame(planes, { format: 'I420', codedWidth: width, codedHeight: height, timestamp: number * 33_333, colorSpace });
    encoder.encode(frame, { keyFrame: keys.includes(number) });
    frame.close();
    // In real time the encoder may leave out what comes too fast.
    await encoder.flush();
  }
  encoder.close();
  return units;

  /** BT.709 in limited range. @param {number} color @returns {[number, number, number]} */
  function limited(color) {
    const [red, green, blue] = [color >> 16, (color >> 8) & 255, color & 255];
    const luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    const chroma = (/** @type {number} */ difference) => Math.round(128 + (difference * 224) / 255);
    return [Math.round(16 + (luma * 219) / 255), chroma((blue - luma) / 1.8556), chroma((red - luma) / 1.5748)];
  }
}
