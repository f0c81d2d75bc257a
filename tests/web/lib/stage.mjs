// @ts-check
/** An X server with its clients, driven through `x-scene` (tests/src/bin/x-scene.rs). */

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { binary } from './binaries.mjs';

/**
 * @typedef {{ width: number, height: number, data: Buffer }} Image RGBA
 * @typedef {{ down: boolean, key: string | null, state: number }} Stroke
 * @typedef {{ text: string, strokes: Stroke[], buttons: [number, boolean, number, number][] }} Typed
 */

export class Stage {
  /** @type {((answer: any) => void)[]} */
  #waiting = [];
  #hasEnded = false;
  #child;
  #directory = mkdtempSync(join(tmpdir(), 'lattice-web-'));
  display = '';
  xauthority = '';
  /** The X server's process id. */
  pid = 0;

  constructor() {
    this.#child = spawn(binary('x-scene'), [], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#waiting.shift()?.(JSON.parse(line));
    });
    // Who ends while it is told something is known by its exit.
    this.#child.stdin.on('error', () => {});
    this.#child.on('exit', () => {
      this.#hasEnded = true;
      for (const answer of this.#waiting.splice(0)) answer({ error: 'x-scene has ended' });
    });
  }

  /**
   * @param {number} width
   * @param {number} height
   * @param {'xorg' | 'xvfb'} program
   */
  static async start(width, height, program = 'xorg') {
    const stage = new Stage();
    const { display, xauthority, pid } = await stage.say('serve', program, width, height);
    Object.assign(stage, { display, xauthority, pid });
    return stage;
  }

  /** Says one command and waits until it is done. @param {...(string | number)} words @returns {Promise<any>} */
  async say(...words) {
    const answer = await new Promise((resolve) => {
      if (this.#hasEnded) {
        resolve({ error: 'x-scene has ended' });
        return;
      }
      this.#waiting.push(resolve);
      this.#child.stdin.write(`${words.join(' ')}\n`);
    });
    if (answer.error) throw new Error(`x-scene ${words.join(' ')}: ${answer.error}`);
    return answer;
  }

  /** What the screen really shows. @returns {Promise<Image>} */
  async image() {
    const file = join(this.#directory, 'image.rgba');
    const { width, height } = await this.say('image', file);
    return { width, height, data: readFileSync(file) };
  }

  /** What the logging client got. @returns {Promise<Typed>} */
  typed() {
    return this.say('typed');
  }

  /** For programs that shall draw on this display. */
  get environment() {
    return { ...process.env, DISPLAY: this.display, XAUTHORITY: this.xauthority };
  }

  async end() {
    this.#child.stdin.end();
    if (this.#child.exitCode === null) await new Promise((resolve) => { this.#child.on('exit', resolve); });
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
