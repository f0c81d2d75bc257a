// Apps that can be installed: what the page keeps of them, and what it says they may do.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, initial } from '../../../web/home/state.js';
import { powerWords, shortDigest } from '../../../web/home/words.js';

const me = { id: '1', name: 'sam', display_name: 'Sam', role: 'member', has_password: true };
const known = { catalogues: [], apps: [], pulls: [{ app: 'draw' }], may_install: false, may_install_for_all: false, obstacle: null };

test('what an app may do is said in words of ours, and in the server’s where it is newer', () => {
  const power = (what, about = []) => powerWords({ what, text: 'can sing', about, risky: false });
  assert.equal(power('network'), 'can use the network');
  assert.equal(power('ports', ['8000', '8001']), 'offers pages that you can look at, on port 8000, 8001');
  assert.equal(power('singing'), 'can sing');
  assert.equal(shortDigest(`sha256:${'0123456789abcdef'.repeat(4)}`), '0123456789ab');
});

test('the page of apps is everybody’s, and what is known of it is forgotten with who knew it', () => {
  let model = apply(apply(initial('apps'), { type: 'signed-in', me }), { type: 'catalogue', known });
  assert.equal(model.tab, 'apps');
  assert.deepEqual(model.pulls, known.pulls);
  model = apply(model, { type: 'pulls', pulls: [] });
  assert.deepEqual([model.pulls, model.shop.known], [[], known]);
  const problem = { trouble: 'broken' };
  model = apply(model, { type: 'catalogue-failed', problem });
  assert.deepEqual(model.shop, { known, problem }, 'what was read stays in sight');
  assert.deepEqual(apply(model, { type: 'signed-out', guest: null }).shop, { known: null, problem: null });
});
