// How often a viewer asks for the whole picture.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Asking } from '../../../web/client/asking.js';

/** The times at which one is asked who would like to ask at each of them. */
const asked = (asking, times) => times.filter((now) => asking.ask(now));
const every = (step, end) => Array.from({ length: Math.ceil(end / step) }, (_, at) => at * step);

test('it is asked less and less often while nothing answers', () => {
  assert.deepEqual(asked(new Asking(), every(250, 47000)), [0, 4000, 12000, 28000, 44000]);
});

test('an answer brings the first pace back, which is never faster than every two seconds', () => {
  const asking = new Asking();
  assert.deepEqual(asked(asking, every(250, 5000)), [0, 4000]);
  asking.answered();
  assert.deepEqual(asked(asking, [4250, 5999, 6000, 6250, 9999, 10000]), [6000, 10000]);
});

test('a picture is overdue from when it was expected until it comes', () => {
  const asking = new Asking();
  assert.ok(!asking.isOverdue(1e9));
  asking.expect(3000);
  assert.ok(asking.isExpecting && !asking.isOverdue(2999));
  assert.ok(asking.isOverdue(3000));
  asking.answered();
  assert.ok(!asking.isOverdue(3000));
  asking.expect(3000);
  asking.expectNone();
  assert.ok(!asking.isExpecting && !asking.isOverdue(3000));
});
