// What the server's answers mean for the way in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback, meaning } from '../../../web/app/gate.js';

for (const [status, expected] of [
  [200, 'ok'], [204, 'ok'], [401, 'denied'], [403, 'refused'], [421, 'refused'], [400, 'refused'],
  [404, 'missing'], [410, 'missing'], [408, 'busy'], [429, 'busy'], [500, 'busy'], [503, 'busy'],
]) {
  test(`${status} means ${expected}`, () => assert.equal(meaning(status), expected));
}

test('loopback hosts are told from those that need a network', () => {
  for (const host of ['localhost', 'desk.localhost', '127.0.0.1', '127.8.9.1', '[::1]']) assert.ok(isLoopback(host), host);
  for (const host of ['127.example.org', 'localhost.example.org', '10.0.0.1', '[::2]', '']) assert.ok(!isLoopback(host), host);
});
