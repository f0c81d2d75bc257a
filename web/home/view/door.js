/** A card in the middle of a page: what one waits for, or why one does not get in. */

import { html } from '../html.js';
import { t } from '../words.js';
import { Countdown, icon } from './parts.js';

/** @import { Child } from '../../vendor/preact/preact.mjs' */
/** @import { Words } from '../doors.js' */

/** @param {{ text: string }} props */
export const Waiting = ({ text }) => html`<main class="door">
  <div class="waiting" role="status">
    <div class="lattice" aria-hidden="true">${Array.from({ length: 9 }, (_, key) => html`<i key=${key} />`)}</div>
    <p class="soft">${text}</p>
  </div>
</main>`;

/**
 * @param {{ words: Words, detail: string, retryAt: number, onRetry: (() => void) | null, home: string, children?: Child }} props
 *   `retryAt`: before then it is of no use
 */
export const Shut = ({ words, detail, retryAt, onRetry, home }) => html`<main class="door">
  <div class="door-card centred" role="alert">
    <span class="glyph" data-tone=${words.tone}>${icon(words.icon)}</span>
    <h1>${words.title}</h1>
    <p class="soft">${words.text}</p>
    ${detail && html`<p class="detail">${detail}</p>`}
    <div class="door-actions">
      ${onRetry && html`<${Countdown}
        until=${retryAt}
        draw=${(seconds) => html`<button type="button" class="button primary" disabled=${seconds > 0} onClick=${onRetry}>${seconds > 0 ? t('common.again-in', { seconds }) : t('common.again')}</button>`}
      />`}
      <a class=${onRetry ? 'button' : 'button primary'} href=${home}>${t('door.to-sign-in')}</a>
    </div>
  </div>
</main>`;
