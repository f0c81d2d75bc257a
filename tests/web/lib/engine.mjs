// @ts-check
/** The container engine of this machine, and whole stacks of Lattice on it. */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repository } from './binaries.mjs';
import { eventually } from './wait.mjs';

/** From nothing to an address, on a machine that has other things to do. */
const UP_MS = 120_000;
/** What a stack consists of: how it is listed, and how it is removed. */
const KINDS = /** @type {const} */ ([
  [['ps', '--all'], ['rm', '--force', '--volumes']], [['volume', 'ls'], ['volume', 'rm']], [['network', 'ls'], ['network', 'rm']],
]);

const execute = promisify(execFile);

/** Has the engine's command do something, and tells what it printed. @param {...string} args */
export async function docker(...args) {
  const { stdout } = await execute('docker', args, { maxBuffer: 1 << 26 });
  return stdout.trim();
}

/** Of all that has this label or name: their ids. @param {string} filter @param {...string} kind */
export async function ids(filter, ...kind) {
  const text = await docker(...kind, '--quiet', '--filter', filter);
  return text === '' ? [] : text.split('\n');
}

/** @param {string} installation what `io.lattice.installation` says of all containers of one Lattice */
export async function removeDesktops(installation) {
  const left = await ids(`label=io.lattice.installation=${installation}`, 'ps', '--all');
  if (left.length > 0) await docker('rm', '--force', '--volumes', ...left);
}

/** A port that nobody has. @returns {Promise<string>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, () => {
      const address = server.address();
      server.close(() => resolve(String(typeof address === 'object' ? address?.port : '')));
    });
  });
}

/** Lattice as people start it, by one of the README's two ways, under a name of its own. */
export class Stack {
  /** @readonly */
  name;
  /** The container whose log has the address. @readonly */
  speaker;
  /** What takes it down, but for volumes and desktops. @type {() => Promise<unknown>} @readonly */
  down;

  /** @param {string} name @param {string} speaker @param {() => Promise<unknown>} down */
  constructor(name, speaker, down) {
    [this.name, this.speaker, this.down] = [name, speaker, down];
  }

  /** By the Compose file, as it is. */
  static async compose() {
    const name = `lattice-web-compose-${process.pid}`;
    const env = { ...process.env, LATTICE_PORT: await freePort(), LATTICE_STACK: name };
    const file = join(repository, 'deploy/compose.yaml');
    const compose = (/** @type {string[]} */ ...args) => execute('docker-compose', ['--project-name', name, '--file', file, ...args], { env });
    const stack = new Stack(name, `${name}_gateway_1`, () => compose('down'));
    await stack.#orRaze(compose('up', '-d'));
    return stack;
  }

  /** By one container that is given the engine's socket. */
  static async run() {
    const [name, port] = [`lattice-web-run-${process.pid}`, await freePort()];
    const stack = new Stack(name, name, async () => {
      await docker('stop', name);
      await docker('rm', name);
    });
    await stack.#orRaze(docker('run', '-d', '--name', name, '-p', `${port}:${port}`, '-v', '/var/run/docker.sock:/var/run/docker.sock', 'lattice/gateway'));
    return stack;
  }

  /** The address that signs the first administrator in. */
  url() {
    return eventually('the stack to print its address', async () => /Lattice is ready: (\S+)$/m.exec(await this.log())?.[1], UP_MS);
  }

  /** What it has said so far. */
  async log() {
    const { stdout, stderr } = await execute('docker', ['logs', this.speaker]);
    return stdout + stderr;
  }

  /** Where the engine keeps one of its volumes. @param {'db' | 'data' | 'run'} what */
  volume(what) {
    return docker('volume', 'inspect', '--format', '{{.Mountpoint}}', `${this.name}-${what}`);
  }

  /** Takes it down as the manual says, desktops and volumes after it, and tells what is left then. */
  async end() {
    const installation = await this.#installation();
    await this.down();
    await removeDesktops(installation);
    await docker('volume', 'rm', ...['db', 'data', 'run'].map((what) => `${this.name}-${what}`));
    return (await Promise.all(KINDS.map(([list]) => this.#have(list)))).flat();
  }

  /** Removes whatever is there of it, however far it came. */
  async raze() {
    await this.#installation().then(removeDesktops, () => {});
    for (const [list, remove] of KINDS) {
      const left = await this.#have(list);
      if (left.length > 0) await docker(...remove, ...left).catch(() => {});
    }
  }

  /** @param {Promise<unknown>} start */
  async #orRaze(start) {
    await start.catch(async (error) => {
      await this.raze();
      throw error;
    });
  }

  /** @param {readonly string[]} list */
  #have(list) {
    return ids(`name=${this.name}`, ...list);
  }

  /** What all containers that it makes are labelled with. */
  async #installation() {
    return readFileSync(join(await this.volume('data'), 'installation'), 'utf8').trim();
  }
}
