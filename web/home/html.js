/** The tag of the views' templates: markup, of which htm makes the calls of Preact that it stands for. */

import { default as htm } from '../vendor/htm/htm.mjs';
import { h } from '../vendor/preact/preact.mjs';

/** @import { VNode } from '../vendor/preact/preact.mjs' */

/** @type {(strings: TemplateStringsArray, ...values: any[]) => VNode} */
export const html = htm.bind(h);
