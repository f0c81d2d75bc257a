/** Writing of little-endian bytes; mirrors `server/wire/src/codec.rs`. */

const encoder = new TextEncoder();

/** Writes fields to the end of a packet. Every method returns the writer. */
export class Writer {
  #bytes;
  #view;
  #at = 1;

  /**
   * @param {number} kind the packet's first byte
   * @param {number} capacity the bytes that are expected to follow it
   */
  constructor(kind, capacity) {
    this.#bytes = new Uint8Array(capacity + 1);
    this.#view = new DataView(this.#bytes.buffer);
    this.#bytes[0] = kind;
  }

  /** The packet. */
  finish() {
    return this.#bytes.subarray(0, this.#at);
  }

  /** @param {number} length @returns {number} where the room for `length` bytes starts */
  #room(length) {
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#at, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return start;
  }

  /** @param {number} value */
  u8(value) {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
    return this;
  }

  /** @param {boolean} value */
  flag(value) {
    return this.u8(value ? 1 : 0);
  }

  /** @param {number} value */
  u16(value) {
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
    return this;
  }

  /** @param {number} value */
  i16(value) {
    const at = this.#room(2);
    this.#view.setInt16(at, value, true);
    return this;
  }

  /** @param {number} value */
  u32(value) {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  /** @param {bigint} value */
  u64(value) {
    const at = this.#room(8);
    this.#view.setBigUint64(at, value, true);
    return this;
  }

  /** A number in as few bytes as it needs. @param {number} value */
  var(value) {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.u8((rest % 0x80) | 0x80);
    return this.u8(rest);
  }

  /** A number of either sign in as few bytes as it needs. @param {number} value */
  svar(value) {
    return this.var(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** @param {Uint8Array} value */
  bytes(value) {
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** @param {{ width: number, height: number }} size */
  varSize(size) {
    return this.var(size.width).var(size.height);
  }

  /** @param {{ x: number, y: number, width: number, height: number }} rect */
  varRect(rect) {
    return this.var(rect.x).var(rect.y).varSize(rect);
  }

  /** Text with a one-byte length. @param {string} value */
  str8(value) {
    const text = cutUtf8(value, 0xff);
    return this.u8(text.length).bytes(text);
  }

  /** Text with a two-byte length. @param {string} value @param {number} limit in bytes */
  str16(value, limit) {
    const text = cutUtf8(value, Math.min(limit, 0xffff));
    return this.u16(text.length).bytes(text);
  }
}

/** How many bytes `text` has in UTF-8. @param {string} text */
export const utf8Length = (text) => encoder.encode(text).length;

/**
 * The longest start of `text` that has at most `limit` bytes and ends between characters.
 * @param {string} text
 * @param {number} limit
 */
function cutUtf8(text, limit) {
  const bytes = encoder.encode(text);
  let end = Math.min(bytes.length, limit);
  while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}
