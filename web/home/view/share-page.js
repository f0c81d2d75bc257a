/** Sharing one page of a desktop: a link that shows what listens on one port, and nothing else. */

import { Component } from '../../vendor/preact/preact.mjs';
import { html } from '../html.js';
import { path as joined } from '../api.js';
import { left, t } from '../words.js';
import { CopyField, FIRST, Modal, Trouble, filledIn, icon } from './parts.js';
import { QrCode } from './qr-code.js';
import { SPANS, SPAN_AT_FIRST } from './share.js';

/** @import { Actions } from '../main.js' */
/** @import { Answer, Dialog, Model, Problem } from '../types.js' */
/** @import { PreviewLink } from '../kept.js' */

/** @typedef {{ model: Model, dialog: Extract<Dialog, { kind: 'share-page' }>, actions: Actions }} Props */
/** @typedef {{ links: readonly PreviewLink[] | null, made: PreviewLink | null, busy: boolean, problem: Problem | null }} Known */

/** @extends {Component<Props, Known>} */
export class SharePage extends Component {
  /** @param {Props} props */
  constructor(props) {
    super(props);
    /** @type {Known} */
    const nothing = { links: null, made: null, busy: false, problem: null };
    this.state = nothing;
  }

  componentDidMount() {
    void this.#list();
  }

  get #root() {
    return joined('sessions', this.props.dialog.session, 'preview-links');
  }

  async #list() {
    /** @type {Answer<{ links: PreviewLink[] }>} */
    const answer = await this.props.actions.ask('GET', this.#root);
    this.setState(answer.ok ? { links: answer.value.links } : { problem: answer.problem });
  }

  /** @param {number} seconds */
  async #make(seconds) {
    if (this.state.busy) return;
    this.setState({ busy: true, problem: null });
    /** @type {Answer<PreviewLink>} */
    const answer = await this.props.actions.ask('POST', this.#root, { port: this.props.dialog.port, expires_in_s: seconds });
    if (!answer.ok) return this.setState({ busy: false, problem: answer.problem });
    this.setState({ busy: false, made: answer.value });
    return this.#list();
  }

  /** @param {PreviewLink} link */
  async #revoke(link) {
    this.setState({ busy: true, problem: null });
    const answer = await this.props.actions.ask('DELETE', joined('sessions', this.props.dialog.session, 'preview-links', link.id));
    const isGone = answer.ok || answer.problem.trouble === 'missing';
    this.setState({ busy: false, problem: isGone || answer.ok ? null : answer.problem, ...(this.state.made?.id === link.id && isGone && { made: null }) });
    if (isGone) this.props.actions.say(t('page.revoked'));
    queueMicrotask(() => document.getElementById('page-links')?.focus());
    return this.#list();
  }

  render() {
    const { model, dialog: { port }, actions } = this.props;
    const { made } = this.state;
    return html`<${Modal} title=${t('page.title', { port })} class="share" model=${model} actions=${actions}>
      ${made?.url ? this.#made(made, made.url) : this.#form()}
      ${this.#links()}
    <//>`;
  }

  #form() {
    const { busy, problem } = this.state;
    return html`<form key="form" class="new-link" onSubmit=${(event) => void this.#make(Number(filledIn(event).span))}>
      <p class="question">${t('page.text')}</p>
      <div class="field">
        <label for="f-span">${t('page.span')}</label>
        <select id="f-span" name="span" class="input" ...${FIRST}>
          ${SPANS.map(([seconds, word]) => html`<option key=${seconds} value=${String(seconds)} selected=${seconds === SPAN_AT_FIRST}>${t(word)}</option>`)}
        </select>
      </div>
      <${Trouble} problem=${problem} />
      <button class="button primary wide" disabled=${busy}>${icon('link')}${t(busy ? 'page.creating' : 'page.create')}</button>
    </form>`;
  }

  /** @param {PreviewLink} link @param {string} url */
  #made({ port, expires_at: end }, url) {
    const { model, actions } = this.props;
    return html`<section key="made" class="made" aria-label=${t('page.made')}>
      <div class="made-text">
        <h3>${t('page.made')}</h3>
        <p class="soft">${t('page.made-text', { port, left: left(end, model.now) })}</p>
        <${CopyField} label=${t('share.link')} url=${url} onCopied=${actions.copied} />
        <p class="hint">${t('page.once')}</p>
        <button type="button" class="button small" onClick=${() => this.setState({ made: null })}>${icon('plus')}${t('page.another')}</button>
      </div>
      <${QrCode} text=${url} label=${t('share.qr')} />
    </section>`;
  }

  #links() {
    const { links, busy } = this.state;
    const { now } = this.props.model;
    const used = (/** @type {PreviewLink} */ { uses: count }) => t(count === 1 ? 'page.used-one' : 'page.used', { count });
    return html`<section key="links" class="rows" aria-labelledby="page-links">
      <h3 id="page-links" tabindex=${-1}>${t('page.links')}</h3>
      ${links === null && html`<p class="soft row-ghost">${t('page.reading')}</p>`}
      ${links?.length === 0 && html`<p class="soft">${t('page.none')}</p>`}
      ${links !== null && links.length > 0 && html`<ul>${links.map((link) => html`<li key=${link.id}>
        <span class="row-main">
          <b>${t('page.port', { port: link.port })}</b>
          <span class="soft">${`${used(link)}, ${left(link.expires_at, now)}`}</span>
        </span>
        <button
          type="button" class="button small danger" disabled=${busy} aria-label=${t('page.revoke-name', { port: link.port, used: used(link) })}
          onClick=${() => void this.#revoke(link)}
        >${t('page.revoke')}</button>
      </li>`)}</ul>`}
    </section>`;
  }
}
