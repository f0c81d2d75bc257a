// @ts-check
/** The first project of each language, by the words of its README: without a network, on a read-only root. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { docker } from '../lib/engine.mjs';

/** What is typed, and what that prints. */
const PROJECTS = /** @type {const} */ ({
  'go-project': ['vscode-golang', 'go run . Ada && go test', /^Hello, Ada!\nPASS$/m],
  'java-project': ['vscode-java', 'javac *.java && java Main Ada && java -ea MainTest', /^Hello, Ada!\nAll is well\.$/m],
  'python-project': ['vscode-python', 'python main.py Ada && pytest --quiet', /^Hello, Ada!$[^]*^1 passed/m],
});
const TYPED = /^ {4}(\S.*)$/gm;

for (const [project, [image, command, printed]] of Object.entries(PROJECTS)) {
  test(`${project} does what its README says`, async () => {
    const inside = (/** @type {string} */ script) => docker(
      'run', '--rm', '--network', 'none', '--read-only', '--cap-drop', 'ALL', '--user', '100001:100001',
      '--tmpfs', '/tmp:exec,mode=1777', '--env', 'HOME=/tmp', '--entrypoint', 'bash', `lattice/${image}`, '-ec', script,
    );
    const readme = await inside(`cat /usr/share/lattice/starter/${project}/README.md`);
    const told = [...readme.matchAll(TYPED)].map(([, line]) => line ?? '');
    for (const each of command.split(' && ')) {
      const [words] = each.split(' --');
      assert.ok(told.some((line) => line.startsWith(words ?? each)), `the README says nothing of ${each}: ${told.join('; ')}`);
    }
    assert.match(await inside(`cp -R /usr/share/lattice/starter/${project} /tmp/project && cd /tmp/project && ${command}`), printed);
  });
}
