// @ts-check
/** Where the built programs are. */

import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** `LATTICE_BIN_DIR`, or what `cargo build --workspace` makes. @param {string} name */
export function binary(name) {
  const directory = process.env.LATTICE_BIN_DIR ?? join(repository, 'target/debug');
  const path = join(directory, name);
  if (existsSync(path)) return path;
  throw new Error(`${path} is missing: run \`cargo build --workspace\` first, or name the directory in LATTICE_BIN_DIR`);
}
