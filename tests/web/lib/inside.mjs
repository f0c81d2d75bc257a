// @ts-check
/** What a program of a desktop in a sandbox does: as its user, with what it sees, and no more. */

import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { eventually } from './wait.mjs';

/** The process of a session that its programs come from. @param {string} session */
function find(session) {
  const mark = `LATTICE_SESSION=${session}`;
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).find((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      return environment.includes(mark) && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'session';
    } catch {
      // It has ended meanwhile.
      return false;
    }
  });
}

/**
 * Runs a script and returns what it says, on either output, whether it succeeds or not. Only root can go there.
 * @param {string} session its id
 * @param {string} script for bash
 */
export async function inside(session, script) {
  const pid = await eventually('the desktop\'s session', () => find(session));
  const { uid } = statSync(`/proc/${pid}`);
  const spaces = ['--mount', '--uts', '--ipc', '--net', '--pid'];
  const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter((variable) => variable.includes('='));
  const env = Object.fromEntries(variables.map((variable) => variable.split(/=(.*)/s).slice(0, 2)));
  const words = ['--target', pid, ...spaces, '--setuid', `${uid}`, '--setgid', `${uid}`, '--', '/bin/bash', '-c', script];
  const { stdout, stderr, status } = spawnSync('nsenter', words, { env, cwd: '/', encoding: 'utf8', maxBuffer: 64 << 20 });
  return { said: `${stdout}${stderr}`.trim(), status };
}

/** The same for a script that must succeed. @param {string} session @param {string} script */
export async function done(session, script) {
  const { said, status } = await inside(session, script);
  if (status !== 0) throw new Error(`${script}: ${status}: ${said}`);
  return said;
}
