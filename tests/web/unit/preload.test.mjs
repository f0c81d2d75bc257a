// The page's modules are fetched side by side, not one after another as they are found.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const WEB = new URL('../../../web/', import.meta.url);
const IMPORT = /^(?:import|export)\b[^'"]*?\bfrom '(\.[^']+)'/gm;

/** All modules that a module needs, and itself. */
function reached(from) {
  const found = new Set([from.href]);
  for (const href of found) {
    const text = readFileSync(new URL(href), 'utf8');
    for (const [, name] of text.matchAll(IMPORT)) found.add(new URL(name, href).href);
  }
  return [...found].map((href) => href.slice(WEB.href.length)).sort();
}

test('what the page loads is what it names at its head', () => {
  const page = readFileSync(new URL('index.html', WEB), 'utf8');
  const named = [...page.matchAll(/(?:modulepreload" href|<script type="module"[^>]* src)="\.\.\/static\/([^"]+)"/g)];
  assert.deepEqual(named.map(([, name]) => name).sort(), reached(new URL('app/main.js', WEB)));
});

test('the worker is started by a module that waits for no other', () => {
  assert.deepEqual(reached(new URL('app/start-worker.js', WEB)), ['app/start-worker.js']);
});
