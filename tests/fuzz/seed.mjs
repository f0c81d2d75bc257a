// @ts-check
/** Writes each golden vector as a file for the fuzzer to start from: VECTORS.json DIRECTORY. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [vectors = '', directory = ''] = process.argv.slice(2);
for (const [number, { hex }] of JSON.parse(readFileSync(vectors, 'utf8')).entries()) {
  writeFileSync(join(directory, `vector-${number}`), Buffer.from(hex, 'hex'));
}
