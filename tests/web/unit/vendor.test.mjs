// Other people's code is what they published, and has its licence.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const vendor = new URL('../../../web/vendor/', import.meta.url);
const sums = new Map(readFileSync(new URL('SHA256SUMS', vendor), 'utf8').trim().split('\n').map((line) => {
  const [sum, path] = line.split(/ +/);
  return [path, sum];
}));

const directories = readdirSync(vendor, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);

test('there is something to check', () => assert.ok(directories.length > 0 && sums.size >= 2 * directories.length));

for (const directory of directories) {
  test(`${directory} is as published`, () => {
    const files = readdirSync(new URL(`${directory}/`, vendor)).filter((name) => !name.endsWith('.d.mts'));
    assert.ok(existsSync(new URL(`${directory}/LICENSE`, vendor)), 'it has its licence');
    assert.deepEqual(files.map((name) => `${directory}/${name}`).sort(), [...sums.keys()].filter((path) => path.startsWith(`${directory}/`)).sort());
    for (const name of files) {
      const path = `${directory}/${name}`;
      const sum = createHash('sha256').update(readFileSync(new URL(path, vendor))).digest('hex');
      assert.equal(sum, sums.get(path), path);
    }
  });

  test(`${directory} turns no string into markup or code`, () => {
    for (const name of readdirSync(new URL(`${directory}/`, vendor)).filter((file) => file.endsWith('.mjs'))) {
      const text = readFileSync(new URL(`${directory}/${name}`, vendor), 'utf8');
      assert.doesNotMatch(text, /\beval\(|new Function|insertAdjacentHTML|outerHTML|document\.write/, name);
    }
  });
}
