/**
 * Bounds-checked reading of little-endian bytes; mirrors `server/wire/src/codec.rs`.
 *
 * INVARIANT: no method reads past the end. Bytes that are missing are a `DecodeError` with the code
 * `truncated`, and a length is checked before anything is made for it.
 */

/** @typedef {'truncated' | 'unknown-kind' | 'invalid' | 'too-large' | 'trailing'} DecodeCode */

/** The longest side of a screen, in pixels. */
export const MAX_SIDE = 8192;

/** Why bytes are not a packet. */
export class DecodeError extends Error {
  /**
   * @param {DecodeCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = 'DecodeError';
    /** @readonly */
    this.code = code;
  }
}

const truncated = () => new DecodeError('truncated', 'the packet is truncated');

/** @param {string} field */
export const invalid = (field) => new DecodeError('invalid', `invalid ${field}`);

/** Reads fields from the front of a packet. */
export class Reader {
  #bytes;
  #view;
  #at = 0;
  #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  /** @param {Uint8Array<ArrayBuffer>} bytes */
  constructor(bytes) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** @param {number} length @returns {number} where the next `length` bytes start */
  #skip(length) {
    const start = this.#at;
    if (length > this.#bytes.length - start) {
      throw truncated();
    }
    this.#at = start + length;
    return start;
  }

  u8() {
    return this.#view.getUint8(this.#skip(1));
  }

  u16() {
    return this.#view.getUint16(this.#skip(2), true);
  }

  i16() {
    return this.#view.getInt16(this.#skip(2), true);
  }

  u32() {
    return this.#view.getUint32(this.#skip(4), true);
  }

  u64() {
    return this.#view.getBigUint64(this.#skip(8), true);
  }

  /** A number in as few bytes as it needs; a longer form is refused. @param {string} field */
  var(field) {
    for (let value = 0, shift = 0; ; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      // The fifth byte holds the highest four bits; a last byte of nothing is one too many.
      if ((byte === 0 && shift > 0) || (shift === 28 && byte > 0x0f)) throw invalid(field);
      if (byte < 0x80) return value >>> 0;
    }
  }

  /** A number of either sign: 0, -1, 1, -2 and so on are written as 0, 1, 2, 3. @param {string} field */
  svar(field) {
    const folded = this.var(field);
    return (folded >>> 1) ^ -(folded & 1);
  }

  /** The next bytes, sharing the packet's memory. @param {number} length */
  take(length) {
    const start = this.#skip(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** All bytes that are left, sharing the packet's memory. */
  rest() {
    return this.take(this.#view.byteLength - this.#at);
  }

  /** A byte that is 0 or 1. @param {string} field */
  flag(field) {
    const value = this.u8();
    if (value > 1) throw invalid(field);
    return value === 1;
  }

  /** A count, refused above `limit`. @param {string} field @param {number} limit */
  count(field, limit) {
    return atMost(field, this.u16(), limit);
  }

  /**
   * A count in few bytes of things that take `least` bytes or more each.
   * @param {string} field @param {number} limit @param {number} least
   */
  varCount(field, limit, least) {
    const count = atMost(field, this.var(field), limit);
    if (count * least > this.#bytes.length - this.#at) throw truncated();
    return count;
  }

  /** UTF-8 text with a one-byte length. @param {string} field */
  str8(field) {
    return this.#utf8(field, this.u8());
  }

  /** UTF-8 text with a two-byte length. @param {string} field @param {number} limit */
  str16(field, limit) {
    return this.#utf8(field, this.count(field, limit));
  }

  /** @param {string} field @param {number} length */
  #utf8(field, length) {
    const bytes = this.take(length);
    try {
      return this.#text.decode(bytes);
    } catch {
      throw invalid(field);
    }
  }

  /** `width, height` in few bytes, neither of them 0 and both within the largest screen. @param {string} field */
  varSize(field) {
    const size = { width: this.var(field), height: this.var(field) };
    const fits = size.width > 0 && size.height > 0
      && size.width <= MAX_SIDE && size.height <= MAX_SIDE;
    if (!fits) throw invalid(field);
    return size;
  }

  /** `x, y, width, height` in few bytes, not empty and within the largest screen. */
  varRect() {
    const field = 'rectangle';
    const rect = { x: this.var(field), y: this.var(field), width: this.var(field), height: this.var(field) };
    const fits = rect.width > 0 && rect.height > 0
      && rect.x + rect.width <= MAX_SIDE && rect.y + rect.height <= MAX_SIDE;
    if (!fits) throw invalid('rectangle');
    return rect;
  }

  /** Checks that nothing is left. */
  end() {
    const more = this.#bytes.length - this.#at;
    if (more > 0) throw new DecodeError('trailing', `${more} bytes follow the packet`);
  }
}

/**
 * @param {string} field
 * @param {number} value
 * @param {number} limit
 */
export function atMost(field, value, limit) {
  if (value <= limit) return value;
  throw new DecodeError('too-large', `${field} is ${value}, the limit is ${limit}`);
}
