// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entranceAt, entranceOf, previewAt } from '../../../web/home/previews.js';

const SESSION = 'abcdefghijklmnop';

test('an address names a session, a port and a path of the preview’s own', () => {
  assert.deepEqual(previewAt(`/preview/${SESSION}/5173`, null), { session: SESSION, port: 5173, to: '/' });
  assert.deepEqual(previewAt(`/lattice/preview/${SESSION}/5173`, '/a?b=c'), { session: SESSION, port: 5173, to: '/a?b=c' });
  for (const path of [`/preview/${SESSION}`, `/preview/${SESSION}/0`, `/preview/${SESSION}/70000`, `/preview/${SESSION}/51x`, '/preview/../5173', '/']) {
    assert.equal(previewAt(path, null), null, path);
  }
});

test('no path leads off the preview', () => {
  for (const to of ['//evil.example', '/\\evil.example', 'https://evil.example', 'javascript:alert(1)', '/a b', '/a\\b', '/a\nb', '']) {
    assert.equal(previewAt(`/preview/${SESSION}/5173`, to)?.to, '/', to);
  }
});

test('a ticket is taken to its own preview only', () => {
  const preview = { session: SESSION, port: 5173, to: '/' };
  const own = `http://5173--${SESSION}.localhost:8080/.lattice/enter/ticket`;
  assert.equal(entranceOf(own, preview), own);
  assert.equal(entranceOf(own, { ...preview, to: '/a?b=c&d' }), `${own}?to=%2Fa%3Fb%3Dc%26d`);
  for (const url of [
    `http://5174--${SESSION}.localhost:8080/`, `http://evil.example/5173--${SESSION}.localhost/`,
    `javascript://5173--${SESSION}.localhost/%0aalert(1)`, `//5173--${SESSION}.localhost/`, '', null, 7,
  ]) {
    assert.equal(entranceOf(url, preview), null, String(url));
  }
});

test('a link to one page leads to the entrance of a preview and nowhere else', () => {
  const good = 'https://5173--abcdefghijklmnop.apps.example/.lattice/enter/ticket';
  assert.equal(entranceAt(good), good);
  for (const bad of [
    undefined, 7, '', '/.lattice/enter/x', 'javascript:alert(1)', 'https://evil.example/.lattice/enter/x', 'https://5173--abc/.lattice/enter/x',
    'https://x.5173--abcdefghijklmnop.apps.example/.lattice/enter/x', 'https://5173--abcdefghijklmnop.apps.example/', 'ftp://5173--abcdefghijklmnop.apps.example/.lattice/enter/x',
  ]) assert.equal(entranceAt(bad), null, String(bad));
});
