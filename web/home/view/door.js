/** A card in the middle of a page: what one waits for, or why one does not get in. */

import { h } from '../../vendor/preact/preact.mjs';
import { t } from '../words.js';
import { Countdown, icon } from './parts.js';

/** @import { Child } from '../../vendor/preact/preact.mjs' */
/** @import { Words } from '../doors.js' */

/** @param {{ text: string }} props */
export const Waiting = ({ text }) => h('main', { class: 'door' },
  h('div', { class: 'waiting', role: 'status' },
    h('div', { class: 'lattice', 'aria-hidden': 'true' }, ...Array.from({ length: 9 }, (_, key) => h('i', { key }))),
    h('p', { class: 'soft' }, text)));

/**
 * @param {{ words: Words, detail: string, retryAt: number, onRetry: (() => void) | null, home: string, children?: Child }} props
 *   `retryAt`: before then it is of no use
 */
export const Shut = ({ words, detail, retryAt, onRetry, home }) => h('main', { class: 'door' },
  h('div', { class: 'door-card centred', role: 'alert' },
    h('span', { class: 'glyph', 'data-tone': words.tone }, icon(words.icon)),
    h('h1', null, words.title),
    h('p', { class: 'soft' }, words.text),
    detail && h('p', { class: 'detail' }, detail),
    h('div', { class: 'door-actions' },
      onRetry && h(Countdown, {
        until: retryAt,
        draw: (seconds) => h('button', { type: 'button', class: 'button primary', disabled: seconds > 0, onClick: onRetry }, seconds > 0 ? t('common.again-in', { seconds }) : t('common.again')),
      }),
      h('a', { class: onRetry ? 'button' : 'button primary', href: home }, t('door.to-sign-in')))));
