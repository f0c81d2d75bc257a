// @ts-check
/** Small pictures as an agent makes them, and as none should. */

import { crc32, deflateSync } from 'node:zlib';

/** @param {string} name @param {Buffer} data */
function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** A PNG. @param {number} width @param {number} height @param {(x: number, y: number) => number[]} color red, green, blue @param {[number, number]} [said] the size that it says it has */
export function png(width, height, color, said = [width, height]) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(said[0], 0);
  header.writeUInt32BE(said[1], 4);
  header.set([8, 2, 0, 0, 0], 8);
  const rows = [];
  for (let y = 0; y < height; y += 1) {
    rows.push(0);
    for (let x = 0; x < width; x += 1) rows.push(...color(x, y));
  }
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(Buffer.from(rows))), chunk('IEND', Buffer.alloc(0))]);
}

/** Something like a desktop with an editor and a browser. */
export const desktop = () => png(384, 216, (x, y) => {
  if (y < 9) return [38, 44, 52];
  const inEditor = x > 20 && x < 230 && y > 22 && y < 196;
  const inBrowser = x > 200 && x < 366 && y > 60 && y < 206;
  if (inBrowser && y < 70) return [222, 226, 230];
  if (inBrowser) return y % 9 < 2 && x > 212 && x < 340 - (y * 13) % 60 ? [150, 158, 170] : [252, 252, 250];
  if (inEditor && y < 32) return [52, 58, 70];
  if (inEditor) return y % 7 < 2 && x > 34 + (y % 5) * 6 && x < 190 - (y * 29) % 90 ? [126, 190, 214] : [30, 34, 42];
  return [70 + Math.floor(y / 4), 120 + Math.floor(x / 12), 140];
});
