/**
 * A text in Markdown, shown: each piece becomes an element of a few kinds, and what is of no such kind is
 * shown as it was written. Nothing of it is ever markup, loads anything, or leads to a script.
 */

import { h } from '../../vendor/preact/preact.mjs';

/** @import { Cell, Token } from '../../vendor/marked/marked.mjs' */
/** @import { Child } from '../../vendor/preact/preact.mjs' */

/** Deeper is shown as it was written. */
const DEEPEST = 12;
/** The page has titles of its own above. */
const FIRST_TITLE = 2;

/** @param {{ tokens: readonly Token[] }} props */
export const Readme = ({ tokens }) => h('div', { class: 'readme' }, ...all(tokens, 0));

/** @param {readonly Token[] | undefined} tokens @param {number} depth @returns {Child[]} */
const all = (tokens, depth) => (tokens ?? []).map((token) => one(token, depth + 1));

/** @param {Token} token @param {number} depth @returns {Child} */
function one(token, depth) {
  const { type, raw, text = raw, tokens } = token;
  if (depth > DEEPEST) return raw;
  const inside = () => (tokens ? all(tokens, depth) : [plain(text)]);
  switch (type) {
    case 'space': case 'def': return null;
    case 'heading': return h(`h${Math.min((token.depth ?? 1) + FIRST_TITLE, 6)}`, null, ...inside());
    case 'paragraph': return h('p', null, ...inside());
    case 'text': return tokens ? inside() : plain(text);
    case 'escape': return plain(text);
    case 'strong': return h('b', null, ...inside());
    case 'em': return h('em', null, ...inside());
    case 'del': return h('s', null, ...inside());
    case 'codespan': return h('code', null, plain(text));
    case 'code': return h('pre', { tabindex: 0 }, h('code', null, text));
    case 'br': return h('br', null);
    case 'hr': return h('hr', null);
    case 'blockquote': return h('blockquote', null, ...inside());
    case 'list': return h(token.ordered ? 'ol' : 'ul', token.ordered && typeof token.start === 'number' ? { start: token.start } : null, ...(token.items ?? []).map((item) => h('li', null, ...all(item.tokens, depth + 1))));
    case 'link': return link(token, inside());
    case 'image': return plain(text);
    case 'table': return table(token, depth);
    default: return raw;
  }
}

/** The lexer writes these for where markup would begin. @param {string} text */
const plain = (text) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&');

/** Where it leads is to be an address on the web. @param {Token} token @param {Child[]} inside */
function link({ href = '' }, inside) {
  const isGood = /^https?:\/\//i.test(href) && URL.canParse(href);
  return isGood ? h('a', { href: new URL(href).href, target: '_blank', rel: 'noopener noreferrer' }, ...inside) : h('span', null, ...inside);
}

/** @param {Token} token @param {number} depth */
function table({ header = [], rows = [] }, depth) {
  const row = (/** @type {readonly Cell[]} */ cells, /** @type {string} */ kind) => h('tr', null, ...cells.map((cell) => h(kind, null, ...all(cell.tokens, depth + 1))));
  return h('div', { class: 'readme-table', tabindex: 0 }, h('table', null, h('thead', null, row(header, 'th')), h('tbody', null, ...rows.map((cells) => row(cells, 'td')))));
}
