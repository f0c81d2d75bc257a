/** What the parts of a desktop say, as they say it. Nothing is asked for before somebody wants to see it. */

import { Component } from '../../vendor/preact/preact.mjs';
import { html } from '../html.js';
import { path as joined } from '../api.js';
import { backoffMs } from '../backoff.js';
import { MOST, apply, fresh, initial, pieces, visible } from '../logs.js';
import { t } from '../words.js';
import { Failed, icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Answer, Session } from '../types.js' */
/** @import { LogLine, LogPart, LogsEvent, LogsModel } from '../kept.js' */

/** @typedef {{ session: Session, actions: Actions }} Props */

/** What comes within such a span is drawn together. */
const GATHER_MS = 100;
/** As many lines are downloaded at most: the server has no more to give. */
const MOST_DOWNLOADED = 5000;
/** So near to its end, in pixels, somebody is at it. */
const NEAR = 8;

/** @type {Readonly<Record<string, import('../words.js').TextKey>>} */
const PARTS = {
  xorg: 'part.xorg', dbus: 'part.dbus', api: 'part.api', desktop: 'part.desktop', agent: 'part.agent', supervisor: 'part.supervisor',
};
const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });

/** @extends {Component<Props, LogsModel>} */
export class Logs extends Component {
  #model = initial();
  /** @type {EventSource | null} */
  #source = null;
  /** @type {{ at: string | null, text: string }[]} */
  #pending = [];
  #flushTimer = 0;
  #retryTimer = 0;
  #failures = 0;
  /** @type {HTMLElement | null} */
  #box = null;
  /** A browser has six connections to a server without TLS. */
  #look = () => (document.hidden ? this.#stop() : this.#model.isOpen && this.#model.state !== 'ended' && void this.#begin());

  /** @param {Props} props */
  constructor(props) {
    super(props);
    this.state = this.#model;
  }

  componentDidMount() {
    document.addEventListener('visibilitychange', this.#look);
  }

  componentWillUnmount() {
    document.removeEventListener('visibilitychange', this.#look);
    this.#stop();
  }

  componentDidUpdate() {
    if (this.#box && !this.#model.held) this.#box.scrollTop = this.#box.scrollHeight;
  }

  /** @param {LogsEvent} event */
  #dispatch(event) {
    this.#model = apply(this.#model, event);
    this.setState(this.#model);
  }

  get #root() {
    return joined('sessions', this.props.session.id, 'logs');
  }

  #stop() {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#flushTimer);
    this.#flushTimer = 0;
    this.#pending = [];
    this.#source?.close();
    this.#source = null;
  }

  #toggle() {
    this.#stop();
    this.#failures = 0;
    if (this.#model.isOpen) return this.#dispatch({ type: 'closed' });
    this.#dispatch({ type: 'opened' });
    return void this.#begin();
  }

  /** @param {string} part */
  #choose(part) {
    this.#stop();
    this.#dispatch({ type: 'part', part });
    this.#follow();
  }

  /** Which parts there are, and what the chosen one says. */
  async #begin() {
    this.#stop();
    /** @type {Answer<{ parts: LogPart[] }>} */
    const answer = await this.props.actions.ask('GET', `${this.#root}/parts`);
    if (!this.#model.isOpen || document.hidden) return;
    if (!answer.ok) return this.#dispatch({ type: 'refused', problem: answer.problem });
    this.#dispatch({ type: 'parts', parts: answer.value.parts });
    if (this.#model.state !== 'ended' && this.#model.part !== '') this.#follow();
  }

  #follow() {
    this.#stop();
    const query = new URLSearchParams({ part: this.#model.part, tail: String(MOST), follow: '1' });
    const source = new EventSource(this.props.actions.url(`${this.#root}?${query}`));
    this.#source = source;
    source.addEventListener('ready', () => {
      this.#failures = 0;
      this.#dispatch({ type: 'ready' });
    });
    source.addEventListener('lines', ({ data }) => {
      this.#pending.push(...JSON.parse(data));
      this.#pending.splice(0, this.#pending.length - MOST);
      this.#flushTimer ||= setTimeout(() => this.#flush(), GATHER_MS);
    });
    source.addEventListener('ended', ({ data }) => {
      this.#flush();
      this.#stop();
      this.#dispatch({ type: 'ended', reason: JSON.parse(data).reason ?? '' });
    });
    // The browser's own way to connect again has no patience, and gives up for ever when it is refused.
    source.addEventListener('error', () => {
      this.#flush();
      this.#stop();
      this.#dispatch({ type: 'lost' });
      this.#failures += 1;
      this.#retryTimer = setTimeout(() => void this.#begin(), backoffMs(this.#failures, Math.random()));
    });
  }

  #flush() {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = 0;
    const lines = this.#pending;
    this.#pending = [];
    if (lines.length > 0) this.#dispatch({ type: 'lines', lines });
  }

  #onScroll() {
    const box = this.#box;
    if (!box) return;
    const isAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - NEAR;
    if (isAtEnd !== (this.#model.held === null)) this.#dispatch({ type: isAtEnd ? 'followed' : 'held' });
  }

  render() {
    const { isOpen } = this.#model;
    return html`<section class="panel logs" aria-labelledby="p-logs">
      <div class="panel-head">
        <h2 id="p-logs">${t('logs.title')}</h2>
        <button type="button" class="button small" aria-expanded=${String(isOpen)} onClick=${() => this.#toggle()}>${t(isOpen ? 'logs.hide' : 'logs.show')}</button>
      </div>
      ${isOpen ? this.#whole() : html`<p class="soft">${t('logs.hint')}</p>`}
    </section>`;
  }

  #whole() {
    const { parts, part, problem, state, query } = this.#model;
    if (state === 'refused' && problem) return html`<${Failed} title=${t('logs.unread')} problem=${problem} onRetry=${() => void this.#begin()} />`;
    if (parts === null) return html`<p class="soft" aria-busy="true">${t('logs.reading')}</p>`;
    if (part === '') return html`<p class="soft">${t('logs.none')}</p>`;
    const download = new URLSearchParams({ part, tail: String(MOST_DOWNLOADED), download: '1' });
    return [
      html`<div key="bar" class="logs-bar">
        <select class="input" aria-label=${t('logs.part')} value=${part} onChange=${(event) => this.#choose(of(event))}>
          ${options(parts, part)}
        </select>
        <input
          class="input" type="search" aria-label=${t('logs.search')} placeholder=${t('logs.search')} value=${query} maxlength=${200}
          onInput=${(event) => this.#dispatch({ type: 'query', query: of(event) })}
        />
        <a class="button small" href=${this.props.actions.url(`${this.#root}?${download}`)} download="">${t('logs.download')}</a>
      </div>`,
      html`<div
        key="box" class="logs-box mono" role="region" tabindex=${0} aria-label=${t('logs.of', { part: named({ part, ...parts.find((one) => one.part === part) }) })} aria-busy=${String(state === 'reading')}
        ref=${(/** @type {HTMLElement | null} */ box) => { this.#box = box; }} onScroll=${() => this.#onScroll()}
      >${this.#lines()}</div>`,
      html`<div key="foot" class="logs-foot">
        <span class="soft" role="status">${this.#said()}</span>
        <span class="push" />
        ${this.#model.held && html`<button type="button" class="button small" onClick=${() => this.#dispatch({ type: 'followed' })}>${icon('down')}${t('logs.newest')}</button>`}
        ${state === 'ended' && html`<button type="button" class="button small" onClick=${() => void this.#again()}>${icon('update')}${t('logs.again')}</button>`}
      </div>`,
    ];
  }

  #again() {
    this.#dispatch({ type: 'part', part: this.#model.part });
    return this.#begin();
  }

  #lines() {
    const lines = visible(this.#model);
    const { state, query, count } = this.#model;
    if (lines.length > 0) return lines.map((line) => html`<p key=${line.number}>${shown(line, query)}</p>`);
    const said = query !== '' && count > 0 ? t('logs.no-match', { query }) : t(state === 'reading' ? 'logs.reading' : 'logs.empty');
    return [html`<p key="empty" class="soft">${said}</p>`];
  }

  #said() {
    const { state, reason, held, lines, query } = this.#model;
    const found = query.trim() === '' ? '' : t('logs.found', { shown: visible(this.#model).length, all: (held ?? lines).length });
    const how = {
      reading: t('logs.reading'), lost: t('logs.lost'), refused: '', ended: reason === '' ? t('logs.ended') : t('logs.ended-why', { reason }),
      on: held ? t('logs.held', { count: fresh(this.#model) }) : t('logs.following'),
    }[state];
    return [found, how].filter(Boolean).join(' · ');
  }
}

/** What a field holds. @param {{ currentTarget: EventTarget | null }} event */
const of = ({ currentTarget: field }) => (field instanceof HTMLInputElement || field instanceof HTMLSelectElement ? field.value : '');

/** @param {readonly LogPart[]} parts @param {string} chosen */
function options(parts, chosen) {
  const isGone = parts.every(({ part }) => part !== chosen);
  const all = isGone ? [...parts, { part: chosen }] : parts;
  return all.map((one) => html`<option key=${one.part} value=${one.part} selected=${one.part === chosen}>${named(one)}</option>`);
}

/** @param {LogPart} one */
function named({ part, title }) {
  const key = PARTS[part];
  return key ? t(key) : title ?? part.replace(/^app:/, '');
}

/** Text and nothing else: whoever wrote it may have meant harm. @param {LogLine} line @param {string} query */
const shown = ({ at, text }, query) => [
  at !== null && html`<time key="at" dateTime=${at} title=${at}>${TIME.format(new Date(at))}${' '}</time>`,
  ...pieces(text, query).map((piece, index) => (index % 2 === 1 ? html`<mark key=${index}>${piece}</mark>` : piece)),
];
