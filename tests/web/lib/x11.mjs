// @ts-check
/** What the X server of a desktop of `lattice serve` says, asked by its own protocol: pressed keys and pixels. */

import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

const [GET_IMAGE, QUERY_KEYMAP] = [73, 44];
const COOKIE = 'MIT-MAGIC-COOKIE-1';
const Z_PIXMAP = 2;

export class Display {
  #socket;
  #unread = Buffer.alloc(0);
  /** @type {(() => void) | null} */
  #wake = null;
  #root = 0;
  width = 0;
  height = 0;

  /** @param {string} path */
  constructor(path) {
    this.#socket = connect(path);
    this.#socket.on('data', (data) => {
      this.#unread = Buffer.concat([this.#unread, data]);
      this.#wake?.();
    });
  }

  /** @param {string} data of the server @param {string} session */
  static async of(data, session) {
    const place = join(data, 'run', session);
    const display = new Display(join(place, 'x/X0'));
    await display.#begin(readFileSync(join(place, 'auth/client')).subarray(-16));
    return display;
  }

  /** The codes of all keys that are down. */
  async held() {
    const reply = await this.#ask(Buffer.from([QUERY_KEYMAP, 0, 1, 0]));
    const keys = reply.subarray(8, 40);
    return Array.from({ length: 256 }, (_, code) => code).filter((code) => ((keys[code >> 3] ?? 0) >> (code & 7)) & 1);
  }

  /** What the screen shows, RGBA. @returns {Promise<import('./stage.mjs').Image>} */
  async image() {
    const { width, height } = this;
    const request = Buffer.alloc(20);
    request.writeUInt8(GET_IMAGE, 0);
    request.writeUInt8(Z_PIXMAP, 1);
    request.writeUInt16LE(5, 2);
    request.writeUInt32LE(this.#root, 4);
    request.writeUInt16LE(width, 12);
    request.writeUInt16LE(height, 14);
    request.writeUInt32LE(0xffffffff, 16);
    const data = (await this.#ask(request)).subarray(32, 32 + width * height * 4);
    data.swap32();
    // XRGB, now in the order of its bytes, becomes RGBX.
    const rgba = Buffer.alloc(data.length, 0xff);
    for (let at = 0; at < data.length; at += 4) data.copy(rgba, at, at + 1, at + 4);
    return { width, height, data: rgba };
  }

  end() {
    this.#socket.destroy();
  }

  /** @param {Buffer} cookie */
  async #begin(cookie) {
    const hello = Buffer.alloc(12 + 20 + 16);
    hello.write('l');
    for (const [at, value] of [[2, 11], [6, COOKIE.length], [8, cookie.length]]) hello.writeUInt16LE(value ?? 0, at);
    hello.write(COOKIE, 12);
    cookie.copy(hello, 32);
    this.#socket.write(hello);
    const reply = await this.#take((unread) => (unread.length < 8 ? 8 : 8 + unread.readUInt16LE(6) * 4));
    if (reply[0] !== 1) throw new Error(`the X server refuses: ${reply.subarray(8).toString('latin1')}`);
    const vendor = reply.readUInt16LE(24);
    const screen = 40 + vendor + ((4 - (vendor % 4)) % 4) + reply.readUInt8(29) * 8;
    this.#root = reply.readUInt32LE(screen);
    [this.width, this.height] = [reply.readUInt16LE(screen + 20), reply.readUInt16LE(screen + 22)];
  }

  /** @param {Buffer} request */
  async #ask(request) {
    this.#socket.write(request);
    let reply;
    // That the keyboard's map has changed is told to everybody, asked or not.
    do reply = await this.#take((unread) => (unread.length < 32 ? 32 : 32 + (unread[0] === 1 ? unread.readUInt32LE(4) * 4 : 0)));
    while ((reply[0] ?? 0) > 1);
    if (reply[0] !== 1) throw new Error(`the X server answers ${request[0]} with error ${reply[1]}`);
    return reply;
  }

  /** As many bytes as `size` says that there must be. @param {(unread: Buffer) => number} size */
  async #take(size) {
    while (this.#unread.length < size(this.#unread)) await new Promise((resolve) => { this.#wake = () => resolve(null); });
    const length = size(this.#unread);
    const taken = Buffer.from(this.#unread.subarray(0, length));
    this.#unread = this.#unread.subarray(length);
    return taken;
  }
}
