// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entranceAt, entranceOf, previewAt } from '../../../web/home/previews.js';

const SESSION = 'abcdefghijklmnop';
const HERE = { hostname: 'desk.example', port: '8443' };

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
  assert.equal(entranceOf(own, preview, HERE), own);
  assert.equal(entranceOf(own, { ...preview, to: '/a?b=c&d' }, HERE), `${own}?to=%2Fa%3Fb%3Dc%26d`);
  for (const url of [
    `http://5174--${SESSION}.localhost:8080/`, `http://evil.example/5173--${SESSION}.localhost/`,
    `javascript://5173--${SESSION}.localhost/%0aalert(1)`, `//5173--${SESSION}.localhost/`, '', null, 7,
  ]) {
    assert.equal(entranceOf(url, preview, HERE), null, String(url));
  }
});

test('a link to one page leads to the entrance of a preview and nowhere else', () => {
  const good = 'https://5173--abcdefghijklmnop.apps.example/.lattice/enter/ticket';
  assert.equal(entranceAt(good, HERE), good);
  for (const bad of [
    undefined, 7, '', '/.lattice/enter/x', 'javascript:alert(1)', 'https://evil.example/.lattice/enter/x', 'https://5173--abc/.lattice/enter/x',
    'https://x.5173--abcdefghijklmnop.apps.example/.lattice/enter/x', 'https://5173--abcdefghijklmnop.apps.example/', 'ftp://5173--abcdefghijklmnop.apps.example/.lattice/enter/x',
  ]) assert.equal(entranceAt(bad, HERE), null, String(bad));
});

test('where previews have ports, another port of the same host is one, and nothing else', () => {
  const preview = { session: SESSION, port: 5173, to: '/a?b' };
  assert.equal(entranceOf('https://desk.example:20100/.lattice/enter/t', preview, HERE), 'https://desk.example:20100/.lattice/enter/t?to=%2Fa%3Fb');
  for (const bad of ['https://desk.example:8443/.lattice/enter/t', 'https://desk.example:20100/', 'https://evil.example:20100/.lattice/enter/t', 'https://desk.example.evil.example:20100/.lattice/enter/t']) {
    assert.equal(entranceOf(bad, preview, HERE), null, bad);
    assert.equal(entranceAt(bad, HERE), null, bad);
  }
});
