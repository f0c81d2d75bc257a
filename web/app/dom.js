/** Small helpers for the page. */

/**
 * The element with this id: it stands in `index.html`.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

/**
 * The first element that matches: it stands in `index.html`.
 * @param {Element} root
 * @param {string} selector
 * @returns {HTMLElement}
 */
export function within(root, selector) {
  const found = root.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no ${selector}`);
  return found;
}

/**
 * @param {string} name
 * @param {string} text
 */
export function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** Sets text only where it differs, so that nothing is laid out or announced anew. @param {Element} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Who walks the page by keyboard sees that the desktop has the focus, until they type or point. */
export function markWalks() {
  document.addEventListener('keydown', ({ key, target }) => {
    const isWalk = key === 'Tab' || !(target instanceof Element && target.closest('#stage'));
    if (isWalk) document.documentElement.dataset.by = 'keyboard';
  }, true);
  document.addEventListener('pointerdown', () => { delete document.documentElement.dataset.by; }, true);
}
