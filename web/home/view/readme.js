/**
 * A text in Markdown, shown: each piece becomes an element of a few kinds, and what is of no such kind is
 * shown as it was written. Nothing of it is ever markup, loads anything, or leads to a script.
 */

import { html } from '../html.js';

/** @import { Cell, Token } from '../../vendor/marked/marked.mjs' */
/** @import { Child } from '../../vendor/preact/preact.mjs' */

/** Deeper is shown as it was written. */
const DEEPEST = 12;
/** The page has titles of its own above. */
const FIRST_TITLE = 2;

/** @param {{ tokens: readonly Token[] }} props */
export const Readme = ({ tokens }) => html`<div class="readme">${all(tokens, 0)}</div>`;

/** @param {readonly Token[] | undefined} tokens @param {number} depth @returns {Child[]} */
const all = (tokens, depth) => (tokens ?? []).map((token) => one(token, depth + 1));

/** @param {Token} token @param {number} depth @returns {Child} */
function one(token, depth) {
  const { type, raw, text = raw, tokens } = token;
  if (depth > DEEPEST) return raw;
  const inside = () => (tokens ? all(tokens, depth) : [plain(text)]);
  switch (type) {
    case 'space': case 'def': return null;
    case 'heading': return html`<${`h${Math.min((token.depth ?? 1) + FIRST_TITLE, 6)}`}>${inside()}<//>`;
    case 'paragraph': return html`<p>${inside()}</p>`;
    case 'text': return tokens ? inside() : plain(text);
    case 'escape': return plain(text);
    case 'strong': return html`<b>${inside()}</b>`;
    case 'em': return html`<em>${inside()}</em>`;
    case 'del': return html`<s>${inside()}</s>`;
    case 'codespan': return html`<code>${plain(text)}</code>`;
    case 'code': return html`<pre tabindex=${0}><code>${text}</code></pre>`;
    case 'br': return html`<br />`;
    case 'hr': return html`<hr />`;
    case 'blockquote': return html`<blockquote>${inside()}</blockquote>`;
    case 'list': return html`<${token.ordered ? 'ol' : 'ul'} ...${token.ordered && typeof token.start === 'number' ? { start: token.start } : null}>${(token.items ?? []).map((item) => html`<li>${all(item.tokens, depth + 1)}</li>`)}<//>`;
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
  return isGood ? html`<a href=${new URL(href).href} target="_blank" rel="noopener noreferrer">${inside}</a>` : html`<span>${inside}</span>`;
}

/** @param {Token} token @param {number} depth */
function table({ header = [], rows = [] }, depth) {
  const row = (/** @type {readonly Cell[]} */ cells, /** @type {string} */ kind) => html`<tr>${cells.map((cell) => html`<${kind}>${all(cell.tokens, depth + 1)}<//>`)}</tr>`;
  return html`<div class="readme-table" tabindex=${0}><table><thead>${row(header, 'th')}</thead><tbody>${rows.map((cells) => row(cells, 'td'))}</tbody></table></div>`;
}
