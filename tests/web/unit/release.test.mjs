// Which release a page is of, and whether the server is of another.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newer, releaseOf } from '../../../web/client/release.js';

test('a script knows the release that it was asked for with', () => {
  assert.equal(releaseOf('https://school.example/lattice/static/@0123456789abcdef/app/main.js'), '0123456789abcdef');
  assert.equal(releaseOf('https://desk.example/static/app/main.js'), '');
});

test('an update is only what is known to be another release', () => {
  assert.equal(newer('aa', 'bb'), 'bb');
  assert.equal(newer('aa', 'aa'), '');
  assert.equal(newer('aa', null), '', 'an older server says nothing');
  assert.equal(newer('', 'bb'), '');
});
