// What leaves for the desktop when keys are pressed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, flush, initial, modifierBits, textStrokes, watch } from '../../../web/client/keyboard.js';

const SHIFT = 1, CONTROL = 2, ALT = 4, META = 8, ALT_GRAPH = 16;

const key = (down) => (code, name, modifiers = 0, more = {}) => ({
  down, code, key: name, keyCode: 0, isComposing: false, modifiers, at: 0, ...more,
});
const down = key(true);
const up = key(false);

function run(events, platform = 'other') {
  let keyboard = initial(platform);
  const [sent, handled] = [[], []];
  let left = 0;
  for (const event of events) {
    const [next, outcome] = apply(keyboard, event);
    keyboard = next;
    sent.push(...outcome.strokes);
    handled.push(outcome.handled);
    left += Number(outcome.leave);
  }
  return { keyboard, sent, handled, left, brief: sent.map(brief) };
}

const brief = (stroke) => (stroke.type === 'text'
  ? stroke.text : `${stroke.down ? '+' : '-'}${stroke.key}${stroke.modifiers ? `/${stroke.modifiers}` : ''}`);

const check = (events, expected, platform) => assert.deepEqual(run(events, platform).brief, expected);

test('a key goes out with its place and its meaning', () => {
  assert.deepEqual(run([down('KeyQ', 'a')]).sent, [{ type: 'key', down: true, modifiers: 0, code: 'KeyQ', key: 'a' }]);
});

test('a held key repeats, and is released once', () => {
  check([down('KeyA', 'a'), down('KeyA', 'a'), up('KeyA', 'a'), up('KeyA', 'a')], ['+a', '+a', '-a']);
});

test('a release whose press never left is not sent', () => check([up('Enter', 'Enter')], []));

test('a modifier counts itself from its press to the release of its last key', () => {
  check([down('ShiftLeft', 'Shift'), down('KeyA', 'A', SHIFT), up('KeyA', 'A', SHIFT), up('ShiftLeft', 'Shift', SHIFT)],
    ['+Shift/1', '+A/1', '-A/1', '-Shift']);
  check([down('ShiftLeft', 'Shift'), down('ShiftRight', 'Shift', SHIFT), up('ShiftLeft', 'Shift', SHIFT), up('ShiftRight', 'Shift')],
    ['+Shift/1', '+Shift/1', '-Shift/1', '-Shift']);
});

for (const event of [
  down('BracketLeft', 'Dead'), down('KeyA', 'Process'), down('KeyA', 'a', 0, { isComposing: true }),
  down('', 'Unidentified', 0, { keyCode: 229 }), down('KeyA', 'a', 0, { keyCode: 229 }),
]) {
  test(`${event.key} ${event.isComposing ? 'while composing' : event.keyCode} is left to the browser`, () => {
    const { sent, handled } = run([event]);
    assert.deepEqual([sent, handled], [[], [false]]);
  });
}

test('the release of a dead key does not leave either', () => {
  check([down('BracketLeft', 'Dead'), up('BracketLeft', '´')], []);
});

test('Windows: the Control that announces AltGr never leaves', () => {
  check([
    down('ControlLeft', 'Control', CONTROL, { at: 10 }), down('AltRight', 'AltGraph', CONTROL | ALT | ALT_GRAPH, { at: 10 }),
    down('KeyQ', '@', CONTROL | ALT | ALT_GRAPH, { at: 20 }), up('KeyQ', '@', CONTROL | ALT | ALT_GRAPH),
    up('ControlLeft', 'Control', ALT | ALT_GRAPH), up('AltRight', 'AltGraph'),
  ], ['+AltGraph/16', '+@/16', '-@/16', '-AltGraph'], 'windows');
});

test('Windows: a real Control leaves before the key after it, or by itself when nothing follows', () => {
  check([down('ControlLeft', 'Control', CONTROL), down('KeyC', 'c', CONTROL)], ['+Control/2', '+c/2'], 'windows');
  const [keyboard, strokes] = flush(run([down('ControlLeft', 'Control', CONTROL)], 'windows').keyboard);
  assert.deepEqual(strokes.map(brief), ['+Control/2']);
  assert.deepEqual(apply(keyboard, up('ControlLeft', 'Control'))[1].strokes.map(brief), ['-Control']);
});

test('Windows: Control and Alt with a sign are the third level, with a letter they are a shortcut', () => {
  const both = CONTROL | ALT;
  assert.equal(run([down('KeyE', '€', both)], 'windows').sent[0].modifiers, ALT_GRAPH);
  assert.equal(run([down('KeyT', 't', both)], 'windows').sent[0].modifiers, both);
  assert.equal(run([down('Delete', 'Delete', both)], 'windows').sent[0].modifiers, both);
});

test('elsewhere Control goes out at once', () => check([down('ControlLeft', 'Control')], ['+Control/2']));

test('macOS: keys held under Command are released with it', () => {
  check([down('MetaLeft', 'Meta', META), down('KeyC', 'c', META), up('MetaLeft', 'Meta')],
    ['+Meta/8', '+c/8', '-c', '-Meta'], 'mac');
});

test('a name that is too long for a key goes out as text', () => {
  check([down('', 'x'.repeat(40)), up('', 'x'.repeat(40))], ['x'.repeat(40)]);
});

const three = [down('ControlLeft', 'Control', CONTROL), down('AltLeft', 'Alt', CONTROL | ALT), down('ShiftLeft', 'Shift', CONTROL | ALT | SHIFT)];
const free = [up('ShiftLeft', 'Shift', CONTROL | ALT), up('AltLeft', 'Alt', CONTROL), up('ControlLeft', 'Control')];

test('Control, Alt and Shift pressed and let go leave the canvas once', () => {
  assert.equal(run([...three, ...free]).left, 1);
  assert.equal(run([...three, ...free, ...three, ...free]).left, 2);
});

test('a shortcut with all three does not leave the canvas', () => {
  const all = CONTROL | ALT | SHIFT;
  const shortcut = [...three, down('KeyT', 'T', all), up('KeyT', 'T', all), ...free];
  assert.equal(run(shortcut).left, 0);
  assert.equal(run([...shortcut, ...three, ...free]).left, 1);
});

test('a key whose release never came spoils nothing', () => {
  const stuck = [down('KeyC', 'c'), down('F5', 'F5')];
  assert.equal(run([...stuck, ...three, ...free]).left, 1);
  const all = CONTROL | ALT | SHIFT;
  assert.equal(run([...three, down('KeyT', 'T', all), ...free, ...three, ...free]).left, 1);
});

test('locks are announced, and never held', () => {
  const { brief: sent, keyboard } = run([down('CapsLock', 'CapsLock', 32), down('NumLock', 'NumLock', 32 | 64), up('NumLock', 'NumLock', 32)]);
  assert.deepEqual(sent, ['+CapsLock/32', '+NumLock/96']);
  assert.equal(keyboard.down.size, 0);
});

for (const platform of ['windows', 'mac', 'other']) {
  test(`${platform}: who only watches reaches the tools, with nothing kept to be sent later`, () => {
    let [keyboard, left] = [initial(platform), 0];
    for (const event of [down('KeyA', 'a'), ...three, ...free, ...three, ...free]) {
      const [next, leave] = watch(keyboard, event);
      assert.equal(next.held, null);
      [keyboard, left] = [next, left + Number(leave)];
    }
    assert.equal(left, 2);
  });
}

test('modifier bits follow the browser\'s state', () => {
  assert.equal(modifierBits((name) => ['Shift', 'AltGraph', 'CapsLock', 'NumLock'].includes(name)), 1 | 16 | 32 | 64);
});

test('long text is cut into packets between characters, and nothing is lost', () => {
  const text = '日é𝄞a'.repeat(2000);
  const strokes = textStrokes(text);
  assert.equal(strokes.map((stroke) => stroke.text).join(''), text);
  for (const { text: part } of strokes) assert.ok(new TextEncoder().encode(part).length <= 4096);
  assert.deepEqual(textStrokes(''), []);
});
