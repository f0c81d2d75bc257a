// Images that somebody builds on the machine, as administrators read of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builder, done, failure, how, what, where } from '../../../web/home/builds.js';

const BUILD = Object.freeze({ image: 'lattice/vscode-golang', state: 'running', number: 3, of: 12, step: 4, steps: 9, seconds: 35 });
const of = (/** @type {object} */ more) => /** @type {any} */ ({ ...BUILD, ...more });

test('a build is said with its place in the run where there is one', () => {
  assert.equal(what(of({})), 'Building lattice/vscode-golang, 3 of 12');
  assert.equal(what(of({ of: 1, number: 1 })), 'Building lattice/vscode-golang');
  assert.equal(what(of({ number: 0, image: 'debian:bookworm-slim' })), 'Building debian:bookworm-slim');
});

test('how far it is has no step before the first', () => {
  assert.equal(how(of({})), 'step 4 of 9, 35 s');
  assert.equal(how(of({ seconds: 3725 })), 'step 4 of 9, 62 min 5 s');
  assert.deepEqual([where(of({})), where(of({ step: 0 }))], ['step 4 of 9', 'preparing']);
  assert.equal(how(of({ step: 0, steps: 0, seconds: 0 })), 'preparing, 0 s');
});

test('the bar counts images and the steps that are done, and never leaves its ends', () => {
  assert.deepEqual(done(of({ number: 1, of: 2, step: 1 })), { value: 0, max: 2 });
  assert.deepEqual(done(of({ number: 2, of: 2, step: 5, steps: 8 })), { value: 1.5, max: 2 });
  assert.deepEqual(done(of({ step: 0, steps: 0 })), { value: 2, max: 12 });
  assert.deepEqual(done(of({ number: 0, step: 3, steps: 3 })), { value: 0, max: 12 });
  assert.deepEqual(done(of({ number: 0, of: 0, step: 0, steps: 0 })), { value: 0, max: 1 });
});

test('a failure names the log where it was written', () => {
  const { text, remedy } = failure(of({ state: 'failed', seconds: 300 }));
  assert.equal(text, 'lattice/vscode-golang could not be built, 5 minutes ago.');
  assert.match(remedy, /target\/images\/vscode-golang\.log/);
  assert.match(failure(of({ image: 'debian:bookworm-slim' })).remedy, /images\/debian\.log/);
});

test('only one that goes on builds an image', () => {
  const failed = of({ state: 'failed' });
  assert.equal(builder([failed], BUILD.image), null);
  assert.deepEqual(builder([failed, of({}), of({ image: 'lattice/x' })], BUILD.image), of({}));
  assert.equal(builder([of({})], 'lattice/x'), null);
});
