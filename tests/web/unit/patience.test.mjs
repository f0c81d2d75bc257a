// How long a silent connection is waited for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Patience } from '../../../web/client/patience.js';

/** The silence after which this connection is given up, in whole seconds. */
function limit(patience) {
  let seconds = 1;
  while (!patience.isOver(seconds * 1000 + 1)) seconds += 1;
  return seconds;
}

/** Connections that fall silent one after another; `true` is one that painted before. */
function limits(connections) {
  const patience = new Patience();
  return connections.map((paints) => {
    patience.begin();
    if (paints) patience.painted();
    return limit(patience);
  });
}

test('a picture that is long on its way is given twice as long each time, up to a minute', () => {
  assert.deepEqual(limits([false, false, false, false, false]), [12, 24, 48, 60, 60]);
});

test('a connection that paints is given the shortest time, and so is the one after it', () => {
  assert.deepEqual(limits([false, false, true, false, false]), [12, 24, 12, 12, 24]);
});
