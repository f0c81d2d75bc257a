/** The little of H.264 (ITU-T H.264, Annex B) that a decoder has to be told. Pure. */

const SPS = 7;

/**
 * The codec of an access unit, as WebCodecs names it: from the first sequence parameter set, whose
 * first bytes are profile, constraints and level. Start codes are looked for in the head only, where
 * parameter sets stand.
 * @param {Uint8Array} unit in Annex B form
 * @returns {string | null} null where there is none
 */
export function codecOf(unit) {
  const end = Math.min(unit.length - 6, 256);
  for (let at = 0; at < end; at += 1) {
    const isStart = unit[at] === 0 && unit[at + 1] === 0 && unit[at + 2] === 1;
    if (!isStart || (unit[at + 3] & 0x1f) !== SPS) continue;
    return `avc1.${hex(unit[at + 4])}${hex(unit[at + 5])}${hex(unit[at + 6])}`;
  }
  return null;
}

/** @param {number} byte */
const hex = (byte) => byte.toString(16).padStart(2, '0');
