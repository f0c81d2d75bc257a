/**
 * What a keyboard event means for the desktop. Pure: records in, packets out.
 *
 * - Keys go out as `code`, `key` and modifier state; the agent, where the keymap is, resolves them.
 * - Dead keys and input methods are left to the browser; what they compose goes out as text.
 * - Windows announces AltGr by a Control that nobody pressed; that Control never leaves.
 * - A release goes out only for a key whose press did, so nothing is released twice or by surprise.
 * - Locks are never held: of some browsers no release comes, and the agent goes by the modifier state.
 */

import { MAX_KEY_NAME, MAX_TEXT } from '../protocol/client.js';
import { MODIFIER } from '../protocol/packets.js';
import { utf8Length } from '../protocol/writer.js';

/**
 * @typedef {{ down: boolean, code: string, key: string, keyCode: number, isComposing: boolean,
 *   modifiers: number, at: number }} KeyRecord `at` in ms
 * @typedef {{ type: 'key', down: boolean, modifiers: number, code: string, key: string }
 *   | { type: 'text', text: string }} Stroke an input packet that has no number yet
 * @typedef {{ platform: 'windows' | 'mac' | 'other',
 *   down: ReadonlyMap<string, { key: string }>, held: Stroke | null, heldAt: number,
 *   escape: 'idle' | 'armed' | 'spoilt' }} Keyboard
 * @typedef {{ strokes: Stroke[], handled: boolean, leave: boolean }} Outcome `handled`: the browser
 *   must not act on it; `leave`: the person asked to leave the canvas
 */

/** A Control and an AltGr of one press are at most this far apart. */
export const FAKE_CONTROL_MS = 15;

/** @type {Readonly<Record<string, number>>} */
const MODIFIER_KEYS = {
  Shift: MODIFIER.SHIFT, Control: MODIFIER.CONTROL, Alt: MODIFIER.ALT, Meta: MODIFIER.META,
  AltGraph: MODIFIER.ALT_GRAPH,
};
const LOCKS = ['CapsLock', 'NumLock'];
const LEAVE = MODIFIER.CONTROL | MODIFIER.ALT | MODIFIER.SHIFT;

/** @param {Keyboard['platform']} platform @returns {Keyboard} */
export function initial(platform) {
  return { platform, down: new Map(), held: null, heldAt: 0, escape: 'idle' };
}

/** Modifier state from an event. @param {(name: string) => boolean} has as `getModifierState` */
export function modifierBits(has) {
  let bits = 0;
  for (const [name, bit] of Object.entries(MODIFIER_KEYS)) if (has(name)) bits |= bit;
  if (has('CapsLock')) bits |= MODIFIER.CAPS_LOCK;
  if (has('NumLock')) bits |= MODIFIER.NUM_LOCK;
  return bits;
}

/**
 * @param {Keyboard} keyboard
 * @param {KeyRecord} event
 * @returns {[Keyboard, Outcome]}
 */
export function apply(keyboard, event) {
  if (isForInputMethod(event)) return [keyboard, { strokes: [], handled: false, leave: false }];
  const [ready, first] = settle(keyboard, event);
  const [next, strokes] = event.down ? press(ready, event) : release(ready, event);
  const [done, leave] = escape(next, event);
  return [done, { strokes: [...first, ...strokes], handled: true, leave }];
}

/**
 * A key that is not meant for the desktop: nothing leaves, but the person may ask for the tools.
 * @param {Keyboard} keyboard one that only watches @param {KeyRecord} event @returns {[Keyboard, boolean]}
 */
export function watch(keyboard, event) {
  const [next, { leave }] = apply(keyboard, event);
  return [flush(next)[0], leave];
}

/** Lets a Control go that was held back and no AltGr followed. @param {Keyboard} keyboard @returns {[Keyboard, Stroke[]]} */
export function flush(keyboard) {
  return keyboard.held ? [sent({ ...keyboard, held: null }, keyboard.held), [keyboard.held]] : [keyboard, []];
}

/** Forgets what is down. @param {Keyboard} keyboard @returns {Keyboard} */
export function reset(keyboard) {
  return initial(keyboard.platform);
}

/** Text as packets of at most the protocol's size, cut between characters. @param {string} text @returns {Stroke[]} */
export function textStrokes(text) {
  /** @type {Stroke[]} */
  const strokes = [];
  let [part, size] = ['', 0];
  for (const character of text) {
    const length = utf8Length(character);
    if (size + length > MAX_TEXT) {
      strokes.push({ type: 'text', text: part });
      [part, size] = ['', 0];
    }
    part += character;
    size += length;
  }
  return part ? [...strokes, { type: 'text', text: part }] : strokes;
}

/** 229 is what browsers say while an input method thinks. @param {KeyRecord} event */
function isForInputMethod({ isComposing, key, keyCode, code }) {
  return isComposing || keyCode === 229 || key === 'Dead' || key === 'Process'
    || (key === 'Unidentified' && code === '');
}

/**
 * Decides what a Control that was held back was.
 * @param {Keyboard} keyboard @param {KeyRecord} event @returns {[Keyboard, Stroke[]]}
 */
function settle(keyboard, event) {
  if (!keyboard.held) return [keyboard, []];
  const isAltGr = event.down && event.key === 'AltGraph' && event.at - keyboard.heldAt <= FAKE_CONTROL_MS;
  return isAltGr ? [{ ...keyboard, held: null }, []] : flush(keyboard);
}

/** @param {Keyboard} keyboard @param {KeyRecord} event @returns {[Keyboard, Stroke[]]} */
function press(keyboard, event) {
  const stroke = strokeOf(keyboard, event);
  const mayBeAltGr = keyboard.platform === 'windows' && event.code === 'ControlLeft'
    && !keyboard.down.has('ControlLeft');
  if (mayBeAltGr) return [{ ...keyboard, held: stroke, heldAt: event.at }, []];
  if (stroke.type === 'text') return [keyboard, [stroke]];
  return [sent(keyboard, stroke), [stroke]];
}

/** @param {Keyboard} keyboard @param {KeyRecord} event @returns {[Keyboard, Stroke[]]} */
function release(keyboard, event) {
  const name = nameOf(event);
  if (!keyboard.down.has(name)) return [keyboard, []];
  const down = new Map(keyboard.down);
  down.delete(name);
  const next = { ...keyboard, down };
  const stroke = strokeOf(next, event);
  if (keyboard.platform === 'mac' && event.key === 'Meta') return releaseRest(next, stroke);
  return [next, [stroke]];
}

/**
 * macOS reports no releases while Command is down; they are due when it goes up.
 * @param {Keyboard} keyboard @param {Stroke} last @returns {[Keyboard, Stroke[]]}
 */
function releaseRest(keyboard, last) {
  const modifiers = last.type === 'key' ? last.modifiers : 0;
  const stuck = [...keyboard.down].filter(([, { key }]) => !(key in MODIFIER_KEYS));
  const down = new Map([...keyboard.down].filter(([, { key }]) => key in MODIFIER_KEYS));
  /** @type {Stroke[]} */
  const strokes = stuck.map(([code, { key }]) => ({ type: 'key', down: false, modifiers, code, key }));
  return [{ ...keyboard, down }, [...strokes, last]];
}

/** @param {Keyboard} keyboard @param {Stroke} stroke @returns {Keyboard} */
function sent(keyboard, stroke) {
  if (stroke.type !== 'key' || LOCKS.includes(stroke.key)) return keyboard;
  return { ...keyboard, down: new Map(keyboard.down).set(nameOf(stroke), { key: stroke.key }) };
}

/** @param {{ code: string, key: string }} event what tells a key from another */
const nameOf = ({ code, key }) => code || key;

/** @param {Keyboard} keyboard @param {KeyRecord} event @returns {Stroke} */
function strokeOf(keyboard, event) {
  const { down, code, key } = event;
  if (utf8Length(key) > MAX_KEY_NAME || utf8Length(code) > MAX_KEY_NAME) return { type: 'text', text: key };
  return { type: 'key', down, modifiers: modifiersAfter(keyboard, event), code, key };
}

/**
 * The modifiers after the event; browsers differ in whether a modifier's own event counts itself.
 * @param {Keyboard} keyboard @param {KeyRecord} event
 */
function modifiersAfter(keyboard, event) {
  const own = MODIFIER_KEYS[event.key] ?? 0;
  let bits = event.modifiers;
  if (event.down) bits |= own;
  else if (own && ![...keyboard.down.values()].some(({ key }) => key === event.key)) bits &= ~own;
  return keyboard.platform === 'windows' ? withoutFakeControl(bits, event) : bits;
}

/** @param {number} bits @param {KeyRecord} event */
function withoutFakeControl(bits, { key }) {
  const both = MODIFIER.CONTROL | MODIFIER.ALT;
  const isThirdLevel = (bits & both) === both && [...key].length === 1 && !/[a-z0-9 ]/i.test(key);
  if (isThirdLevel) return (bits & ~both) | MODIFIER.ALT_GRAPH;
  return bits & MODIFIER.ALT_GRAPH ? bits & ~both : bits;
}

/**
 * Control, Alt and Shift pressed together and let go, with no other key between, leave the canvas.
 * @param {Keyboard} keyboard @param {KeyRecord} event @returns {[Keyboard, boolean]}
 */
function escape(keyboard, event) {
  const isModifier = event.key in MODIFIER_KEYS;
  if (!isModifier) return [{ ...keyboard, escape: event.down ? 'spoilt' : keyboard.escape }, false];
  if (event.down) {
    const all = ((event.modifiers | (MODIFIER_KEYS[event.key] ?? 0)) & LEAVE) === LEAVE;
    const escape = all && keyboard.escape === 'idle' ? 'armed' : keyboard.escape;
    return [{ ...keyboard, escape: modifiersDown(keyboard) <= 1 && !all ? 'idle' : escape }, false];
  }
  if (keyboard.escape === 'armed') return [{ ...keyboard, escape: 'idle' }, true];
  return [{ ...keyboard, escape: modifiersDown(keyboard) === 0 ? 'idle' : keyboard.escape }, false];
}

/** Other keys do not count: the release of one that the system took is never told. @param {Keyboard} keyboard */
function modifiersDown(keyboard) {
  return [...keyboard.down.values()].filter(({ key }) => key in MODIFIER_KEYS).length;
}
