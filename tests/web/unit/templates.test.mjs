// Templates are read as calls, so that types and texts within them are checked.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asCalls } from '../lib/templates.mjs';

for (const [what, text, calls] of /** @type {const} */ ([
  ['an element', 'html`<p class="soft" />`', `$h("p", { "class": "soft", })`],
  ['what is named and what is in it', 'html`<b id=${id} hidden>${text} and more</b>`', `$h("b", { "id": (id), "hidden": true, }, (text), " and more")`],
  ['a text made of pieces', 'html`<b class="icon i-${name} ${tone}" />`', '$h("b", { "class": `icon i-${(name)} ${(tone)}`, })'],
  ['all that something has', 'html`<${Images} again ...${stock} key=${1} />`', `$h((Images), { "again": true, ...(stock), "key": (1), })`],
  ['a template within', "html`<ul>${of.map((one) => html`<li>${one}</li>`)}</ul>`", `$h("ul", null, (of.map((one) => $h("li", null, (one)))))`],
  ['a cast', 'html`<b onClick=${/** @type {Go} */ (go)} />`', `$h("b", { "onClick": (/** @type {Go} */ (go)), })`],
  ['another template', 'const a = `b${c}`;', 'const a = `b${c}`;'],
])) {
  test(`${what} is read`, () => assert.equal(asCalls('x.js', text), calls));
}

test('every expression stays on its line', () => {
  const text = 'const a = html`<div\n  id=${one}>\n  <b>\n    ${two}\n  </b>\n</div>`;\nthree();';
  const lines = asCalls('x.js', text).split('\n');
  for (const [at, word] of [[1, 'one'], [3, 'two'], [6, 'three']]) assert.match(lines[Number(at)] ?? '', new RegExp(String(word)));
  assert.equal(lines.length, text.split('\n').length);
});

test('a template of several elements, or of none, is refused by its line', () => {
  for (const text of ['\nhtml`<p /><p />`', '\nhtml``']) assert.throws(() => asCalls('x.js', text), /x\.js:2: a template is one element/);
});
