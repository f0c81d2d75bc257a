/**
 * Checks the JSDoc types of `web/` as tsc does, and those within templates too:
 *
 *   node tests/web/check.mjs
 *
 * Templates are read as the calls that they stand for, each expression on its own line.
 */
import { fileURLToPath } from 'node:url';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { CALLED, asCalls } from './lib/templates.mjs';

/** The text of a module as it is checked. @param {string} web @param {string} path @param {string} text */
function checked(web, path, text) {
  const calls = text.includes('html`') ? asCalls(path, text) : text;
  if (calls === text) return text;
  const preact = relative(dirname(path), join(web, 'vendor/preact/preact.mjs'));
  // Behind all else, so that no line moves. The tag itself is not called any more, and is used all the same.
  return `${calls}\nvoid html; var ${CALLED} = /** @type {typeof import('./${preact}').h} */ (/** @type {unknown} */ (null));\n`;
}

/** What is wrong with the modules of a directory that its jsconfig names, a line each. @param {string} web a path without links @returns {string[]} */
export function problems(web) {
  const config = join(web, 'jsconfig.json');
  const parsed = ts.getParsedCommandLineOfConfigFile(config, { allowJs: true }, { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (error) => { throw new Error(text(error)); } });
  if (!parsed) throw new Error(`${config} cannot be read`);
  const host = ts.createCompilerHost(parsed.options);
  const read = host.readFile;
  host.readFile = (path) => {
    const found = read(path);
    return found !== undefined && path.startsWith(web) && path.endsWith('.js') ? checked(web, path, found) : found;
  };
  host.getSourceFile = (path, options) => {
    const found = host.readFile(path);
    return found === undefined ? undefined : ts.createSourceFile(path, found, options);
  };
  return [...parsed.errors, ...ts.getPreEmitDiagnostics(ts.createProgram(parsed.fileNames, parsed.options, host))].map(text);
}

/** @param {ts.Diagnostic} error */
function text({ file, start, messageText }) {
  const said = ts.flattenDiagnosticMessageText(messageText, '\n');
  return file && start !== undefined ? `${relative(process.cwd(), file.fileName)}:${file.getLineAndCharacterOfPosition(start).line + 1}: ${said}` : said;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = problems(fileURLToPath(new URL('../../web', import.meta.url)));
  for (const problem of found) console.error(problem);
  process.exitCode = found.length > 0 ? 1 : 0;
}
