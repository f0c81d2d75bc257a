// @ts-check
/** What a camera makes of a QR code on the screen. */

import jsqr from 'jsqr';

/** @typedef {import('playwright-core').Page} Page */

/** What is read off a screenshot. @param {Page} page @param {import('playwright-core').Locator} code */
export async function scanned(page, code) {
  const png = (await code.screenshot()).toString('base64');
  // A page of its own: that of the product lets nothing in by a data: address.
  const scratch = await page.context().newPage();
  const { width, height, data } = await scratch.evaluate(async (base64) => {
    const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
    const context = new OffscreenCanvas(picture.width, picture.height).getContext('2d');
    if (!context) throw new Error('no canvas');
    context.drawImage(picture, 0, 0);
    return { width: picture.width, height: picture.height, data: [...context.getImageData(0, 0, picture.width, picture.height).data] };
  }, png);
  await scratch.close();
  // The package is CommonJS with an `exports.default` of its own.
  const read = /** @type {any} */ (jsqr).default ?? jsqr;
  return read(Uint8ClampedArray.from(data), width, height)?.data ?? null;
}
