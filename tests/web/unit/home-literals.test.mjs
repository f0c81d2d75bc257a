// What people read stands in the tables of words, by key, and not in the views: so it can be translated.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { CALLED, asCalls } from '../lib/templates.mjs';

const home = new URL('../../../web/home/', import.meta.url).pathname;
const FILES = [...readdirSync(join(home, 'view')).map((name) => `view/${name}`), 'enter.js', 'main.js', 'others.js', 'preview.js', 'redeem.js', 'state.js'];
/** Properties of elements and of our own components that people read or hear. */
const READ = new Set(['aria-label', 'aria-valuetext', 'aria-description', 'title', 'placeholder', 'alt', 'label', 'hint', 'text', 'verb', 'words']);
/** Functions that say something. */
const SAYING = new Set(['say', 'said']);

/** Whether there is a letter in it, so that it means something. @param {string} text */
const isWord = (text) => /\p{L}/u.test(text);

/** What of an expression is shown as it is written. @param {ts.Node} node @returns {string[]} */
function shown(node) {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return isWord(node.text) ? [node.text] : [];
  if (ts.isTemplateExpression(node)) {
    const own = [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].filter(isWord);
    return [...own, ...node.templateSpans.flatMap(({ expression }) => shown(expression))];
  }
  if (ts.isConditionalExpression(node)) return [...shown(node.whenTrue), ...shown(node.whenFalse)];
  if (ts.isParenthesizedExpression(node) || ts.isSpreadElement(node)) return shown(node.expression);
  if (ts.isArrayLiteralExpression(node)) return node.elements.flatMap(shown);
  if (ts.isBinaryExpression(node)) {
    const { kind } = node.operatorToken;
    if (kind === ts.SyntaxKind.AmpersandAmpersandToken) return shown(node.right);
    const isSum = kind === ts.SyntaxKind.PlusToken || kind === ts.SyntaxKind.BarBarToken || kind === ts.SyntaxKind.QuestionQuestionToken;
    return isSum ? [...shown(node.left), ...shown(node.right)] : [];
  }
  return [];
}

/** The literals of a file that somebody reads, each with its line. @param {string} name @param {string} text */
function literals(name, text) {
  const file = ts.createSourceFile(name, asCalls(name, text), ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
  /** @type {string[]} */
  const found = [];
  const note = (/** @type {ts.Node} */ node) => {
    const { line } = file.getLineAndCharacterOfPosition(node.getStart());
    found.push(...shown(node).map((word) => `${name}:${line + 1}: ${word}`));
  };
  const visit = (/** @type {ts.Node} */ node) => {
    if (ts.isCallExpression(node)) {
      const called = ts.isPropertyAccessExpression(node.expression) ? node.expression.name.text : node.expression.getText();
      if (called === CALLED) node.arguments.slice(2).forEach(note);
      if (SAYING.has(called) && node.arguments[0]) note(node.arguments[0]);
    }
    if (ts.isPropertyAssignment(node) && (ts.isIdentifier(node.name) || ts.isStringLiteral(node.name)) && READ.has(node.name.text)) note(node.initializer);
    // A table of sentences.
    if (ts.isStringLiteral(node) && /^\p{Lu}\p{Ll}+(\s|…|$)/u.test(node.text) && /[\s…]/.test(node.text) && !ts.isImportDeclaration(node.parent)) note(node);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return [...new Set(found)];
}

test('no view says anything that is not in the tables of words', () => {
  const found = FILES.flatMap((name) => literals(name, readFileSync(join(home, name), 'utf8')));
  assert.deepEqual(found, []);
});

for (const [what, text, count] of /** @type {const} */ ([
  ['a child', 'html`<p>Words</p>`', 1],
  ['a child of a condition', "html`<p>${is ? 'One' : 'Two'}${other && 'Three'}</p>`", 3],
  ['a child made of pieces', 'html`<p>${`made ${when} by ${name}`}</p>`', 2],
  ['a child among others', 'html`<div>\n  <b>${t("a.b")}</b>\n  and more\n</div>`', 1],
  ['a child of a template within', 'html`<ul>${items.map(() => html`<li>Words</li>`)}</ul>`', 1],
  ['a label', 'html`<button aria-label="Stop ${name}" class="button" />`', 1],
  ['a prop of a component', `html\`<\${Field} label="Name" name="name" hint=\${far ? 'Far' : ''} />\``, 2],
  ['what is said', "actions.say('Done')", 1],
  ['a table', "const BUSY = { queued: 'Waiting…' };", 1],
  ['a sentence, whoever reads it', `html\`<p class="soft" key="Some key" role="note">\${t('a.b')} · \${name}</p>\``, 1],
])) {
  test(`the search finds ${what}`, () => assert.equal(literals('x.js', text).length, count, JSON.stringify(literals('x.js', text))));
}
