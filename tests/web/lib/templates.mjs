/**
 * Templates of the home page as the calls they stand for, so that tools which read JavaScript see into
 * them: html`<b id=${id}>${text}</b>` becomes $h('b', { id: (id) }, (text)), on the same lines.
 */
import ts from 'typescript';
import htm from '../../../web/vendor/htm/htm.mjs';

/** The function that the calls are of. */
export const CALLED = '$h';

/** A value of a template, in htm's hands. As a part of a text it is its number between two characters of no text. */
class Value {
  /** @param {number} index */
  constructor(index) {
    // What a spread copies.
    this[`\u0001${index}`] = true;
    Object.defineProperty(this, 'index', { value: index });
  }

  toString() {
    return `\u0001${this.index}\u0002`;
  }
}

/** An element, in htm's hands. */
class Element {
  /** @param {unknown} type @param {Record<string, unknown> | null} props @param {unknown[]} children */
  constructor(type, props, children) {
    this.type = type;
    this.props = props;
    this.children = children;
  }
}

/** @param {ts.Node} node @returns {node is ts.TaggedTemplateExpression} */
const isTemplate = (node) => ts.isTaggedTemplateExpression(node) && ts.isIdentifier(node.tag) && node.tag.text === 'html';

/**
 * A module's text with calls in place of its templates; each expression stays on its line.
 * @param {string} name names it in errors @param {string} text @returns {string}
 * @throws {Error} for a template that htm makes nothing of, or more than one element, naming its line
 */
export function asCalls(name, text) {
  const file = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
  let out = '';
  let line = 0;
  const lineAt = (/** @type {number} */ at) => file.getLineAndCharacterOfPosition(at).line;
  const write = (/** @type {string} */ piece) => {
    out += piece;
    line += piece.split('\n').length - 1;
  };
  const goTo = (/** @type {number} */ at) => write('\n'.repeat(Math.max(lineAt(at) - line, 0)));

  /** Writes what is between two places, and calls for the templates there. @param {ts.Node} node @param {number} from @param {number} to */
  const copy = (node, from, to) => {
    let at = from;
    const visit = (/** @type {ts.Node} */ inner) => {
      if (!isTemplate(inner)) return ts.forEachChild(inner, visit);
      write(text.slice(at, inner.getStart()));
      template(inner);
      at = inner.end;
    };
    visit(node);
    write(text.slice(at, to));
  };

  const template = (/** @type {ts.TaggedTemplateExpression} */ node) => {
    const spans = ts.isTemplateExpression(node.template) ? node.template.templateSpans : [];
    const first = ts.isTemplateExpression(node.template) ? node.template.head : node.template;
    // Cooked, as htm gets them.
    const strings = [first.text, ...spans.map(({ literal }) => literal.text)];
    const make = htm.bind((/** @type {unknown} */ type, /** @type {Record<string, unknown> | null} */ props, /** @type {unknown[]} */ ...children) => new Element(type, props, children));
    const made = make(/** @type {any} */ (strings), ...spans.map((_, index) => new Value(index)));
    if (!(made instanceof Element)) throw new Error(`${name}:${lineAt(node.getStart()) + 1}: a template is one element`);

    // Expressions come in the order in which they are written.
    let next = 0;
    const expression = (/** @type {number} */ index) => {
      next = index + 1;
      const { expression: inner } = /** @type {ts.TemplateSpan} */ (spans[index]);
      // With the comments before it: they may be its type.
      goTo(inner.getStart());
      write('(');
      copy(inner, inner.pos, inner.end);
      write(')');
    };
    const value = (/** @type {unknown} */ known) => {
      if (known instanceof Element) {
        // What is wrong with a call as a whole is told where it starts: not before the first expression in it.
        if (next < spans.length) goTo(/** @type {ts.TemplateSpan} */ (spans[next]).expression.getStart());
        return element(known);
      }
      if (known instanceof Value) return expression(/** @type {any} */ (known).index);
      if (typeof known !== 'string') return write(String(known));
      const pieces = known.split(/\u0001(\d+)\u0002/);
      if (pieces.length === 1) return write(JSON.stringify(known));
      write('`');
      pieces.forEach((piece, at) => {
        if (at % 2 === 0) return write(piece.replace(/[\\`]|\$\{/g, '\\$&').replace(/\n/g, '\\n'));
        write('${');
        expression(Number(piece));
        write('}');
      });
      write('`');
    };
    const element = (/** @type {Element} */ { type, props, children }) => {
      write(`${CALLED}(`);
      value(type);
      write(props ? ', { ' : typeof type === 'string' ? ', null' : ', {}');
      for (const [key, known] of Object.entries(props ?? {})) {
        if (key.startsWith('\u0001')) {
          write('...');
          expression(Number(key.slice(1)));
        } else {
          write(`${JSON.stringify(key)}: `);
          value(known);
        }
        write(', ');
      }
      if (props) write('}');
      for (const child of children) {
        write(', ');
        value(child);
      }
      write(')');
    };
    element(made);
    goTo(node.end);
  };

  copy(file, 0, text.length);
  return out;
}
