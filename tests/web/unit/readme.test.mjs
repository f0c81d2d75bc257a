// Markdown of templates: shown, and never more than shown.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lexer } from '../../../web/vendor/marked/marked.mjs';
import { Readme } from '../../../web/home/view/readme.js';

/** An element as text: what would be there. */
function drawn(node) {
  if (node === null || node === undefined || node === false) return '';
  if (Array.isArray(node)) return node.map(drawn).join('');
  if (typeof node !== 'object') return String(node).replaceAll('<', '‹').replaceAll('>', '›');
  const { children, ...props } = node.props;
  const attributes = Object.entries(props).filter(([name]) => name !== 'class' && name !== 'tabindex').map(([name, value]) => ` ${name}=${value}`).join('');
  return `<${node.type}${attributes}>${drawn(children)}</${node.type}>`;
}
const show = (markdown) => drawn(Readme({ tokens: lexer(markdown) })).replace(/^<div>|<\/div>$/g, '');

test('what people write is shown as they mean it', () => {
  assert.equal(show('# Vue\n\nYour project is in **Data**. Type `npm run dev`.'), '<h3>Vue</h3><p>Your project is in <b>Data</b>. Type <code>npm run dev</code>.</p>');
  assert.equal(show('- one\n- *two*\n'), '<ul><li>one</li><li><em>two</em></li></ul>');
  assert.equal(show('3. three\n4. four\n'), '<ol start=3><li>three</li><li>four</li></ol>');
  assert.equal(show('```sh\nls < a & b\n```'), '<pre><code>ls ‹ a & b</code></pre>');
  assert.equal(show('1 < 2 & "3"'), '<p>1 ‹ 2 & "3"</p>');
  assert.equal(show('[docs](https://vuejs.org/guide)'), '<p><a href=https://vuejs.org/guide target=_blank rel=noopener noreferrer>docs</a></p>');
  assert.match(show('| a | b |\n|---|---|\n| 1 | `2` |'), /<table><thead><tr><th>a<\/th><th>b<\/th><\/tr><\/thead><tbody><tr><td>1<\/td><td><code>2<\/code><\/td>/);
});

test('nothing of it is markup, loads anything, or leads to a script', () => {
  for (const evil of [
    '<script>alert(1)</script>', '<img src=x onerror=alert(1)>', 'a <b onclick=alert(1)>b</b>', '<a href="javascript:alert(1)">x</a>',
    '![x](https://evil.example/pixel.png)', '[x](javascript:alert(1))', '[x](JaVaScRiPt:alert(1))', '[x](data:text/html,<script>1</script>)', '[x](//evil.example)', '[x](vbscript:x)',
    '<javascript:alert(1)>', '[x]: javascript:alert(1)\n\n[x]', '[x](https://a"onmouseover=alert(1))', '`<svg onload=alert(1)>`', '<iframe srcdoc="x">', '[\u202ex](http://)',
  ]) {
    const html = show(evil);
    const tags = [...html.matchAll(/<([a-z0-9]+)([^>]*)>/g)];
    for (const [, tag, attributes] of tags) {
      assert.ok(['p', 'b', 'a', 'code', 'span', 'em', 'pre'].includes(tag), `${evil}: ${html}`);
      if (tag === 'a') assert.match(attributes, /^ href=https?:\/\/[^ ]+ target=_blank rel=noopener noreferrer$/, html);
      else assert.equal(attributes, '', html);
    }
  }
});

test('what goes very deep is shown as it was written', () => {
  const html = show(`${'> '.repeat(60)}deep`);
  assert.ok((html.match(/<blockquote>/g) ?? []).length <= 12);
  assert.match(html, /deep/);
  assert.ok(show('*'.repeat(5000)).length > 0);
});
