// Templates are read as calls, so that types and texts within them are checked.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { problems } from '../check.mjs';
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

test('types within templates are checked, and what is wrong is named by its line', (t) => {
  const web = realpathSync(mkdtempSync(join(tmpdir(), 'lattice-types-')));
  t.after(() => rmSync(web, { recursive: true }));
  for (const part of ['jsconfig.json', 'vendor', 'home/html.js']) cpSync(fileURLToPath(new URL(`../../../web/${part}`, import.meta.url)), join(web, part), { recursive: true });
  const view = (/** @type {string} */ name, /** @type {string} */ press) => `import { html } from './html.js';
/** @param {{ name: string }} props */
const Name = ({ name }) => html\`<b>\${name}</b>\`;
export const all = () => html\`<p>
  <\${Name} ...\${{ ${name} }} />
  <button
    onClick=\${${press}}
  />
</p>\`;
`;
  writeFileSync(join(web, 'home/view.js'), view("name: 'Ada'", '(event) => event.preventDefault()'));
  assert.deepEqual(problems(web), []);
  writeFileSync(join(web, 'home/view.js'), view("nmae: 'Ada'", '5'));
  const found = problems(web).map((problem) => problem.replace(/^.*view\.js:/, ''));
  assert.equal(found.length, 2, found.join('\n'));
  assert.match(found[0] ?? '', /^5: [^]*'name' is missing|^5: [^]*'nmae' does not exist/);
  assert.match(found[1] ?? '', /^7: [^]*'number' is not assignable/);
});
