// @ts-check
/** What the X server of a desktop of `lattice serve` says, asked by its own protocol: pressed keys, pixels, windows. */

import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

const [INTERN_ATOM, GET_PROPERTY, QUERY_KEYMAP, GET_IMAGE] = [16, 20, 44, 73];
const COOKIE = 'MIT-MAGIC-COOKIE-1';
const Z_PIXMAP = 2;

export class Display {
  #socket;
  #unread = Buffer.alloc(0);
  #ended = false;
  /** @type {(() => void) | null} */
  #wake = null;
  #root = 0;
  /** @type {Map<string, number>} */
  #atoms = new Map();
  width = 0;
  height = 0;

  /** @param {string} path */
  constructor(path) {
    this.#socket = connect(path);
    this.#socket.on('data', (data) => {
      this.#unread = Buffer.concat([this.#unread, data]);
      this.#wake?.();
    });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.#ended = true;
      this.#wake?.();
    });
  }

  /** Of a desktop in a sandbox. @param {string} data of the server @param {string} session */
  static of(data, session) {
    return Display.at(join(data, 'run', session));
  }

  /** @param {string} place the directory of a session */
  static async at(place) {
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

  /** What stands on the windows that the window manager knows, the lowest first. */
  async titles() {
    const list = await this.#property(this.#root, '_NET_CLIENT_LIST_STACKING');
    const titles = [];
    for (let at = 0; at + 4 <= list.length; at += 4) {
      // One may have gone meanwhile.
      const title = await this.#property(list.readUInt32LE(at), '_NET_WM_NAME').catch(() => null);
      if (title) titles.push(title.toString());
    }
    return titles;
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

  /** @param {number} window @param {string} name */
  async #property(window, name) {
    const request = Buffer.alloc(24);
    request.writeUInt8(GET_PROPERTY, 0);
    request.writeUInt16LE(6, 2);
    request.writeUInt32LE(window, 4);
    request.writeUInt32LE(await this.#atom(name), 8);
    request.writeUInt32LE(1024, 20);
    const reply = await this.#ask(request);
    return reply.subarray(32, 32 + reply.readUInt32LE(16) * (reply[1] ?? 0) / 8);
  }

  /** @param {string} name */
  async #atom(name) {
    const known = this.#atoms.get(name);
    if (known) return known;
    const request = Buffer.alloc(8 + Math.ceil(name.length / 4) * 4);
    request.writeUInt8(INTERN_ATOM, 0);
    request.writeUInt16LE(request.length / 4, 2);
    request.writeUInt16LE(name.length, 4);
    request.write(name, 8);
    const atom = (await this.#ask(request)).readUInt32LE(8);
    this.#atoms.set(name, atom);
    return atom;
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
    while (this.#unread.length < size(this.#unread)) {
      if (this.#ended) throw new Error('the X server is gone');
      await new Promise((resolve) => { this.#wake = () => resolve(null); });
    }
    const length = size(this.#unread);
    const taken = Buffer.from(this.#unread.subarray(0, length));
    this.#unread = this.#unread.subarray(length);
    return taken;
  }
}
