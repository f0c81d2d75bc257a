/** Backups, for administrators: how the last ones went, whether one can be put back, and another one now. */

import { Component } from '../../vendor/preact/preact.mjs';
import { html } from '../html.js';
import { amount, since, span, t } from '../words.js';
import { Trouble, icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Answer, Backup, Problem } from '../types.js' */
/** @import { TextKey } from '../words.js' */

/** @typedef {{ backup: Backup | null, isOld: boolean, now: number, actions: Actions, onTold: (backup: Backup) => void }} Props */

/** What the configuration lacks. */
const LINES = Object.freeze([
  '[backup]',
  'repository = "/mnt/backup/lattice"    # or sftp://user@host/path, s3://bucket/prefix',
  'password_file = "/etc/lattice/backup.password"',
  'every = "24h"',
  'drill_every = "7d"',
]);

/** @extends {Component<Props, { asking: string, problem: Problem | null }>} */
export class Backups extends Component {
  /** @param {Props} props */
  constructor(props) {
    super(props);
    this.state = { asking: '', problem: null };
  }

  /** @param {'backup' | 'backup/drill'} path */
  async #ask(path) {
    this.setState({ asking: path, problem: null });
    /** @type {Answer<Backup>} */
    const answer = await this.props.actions.ask('POST', path);
    this.setState({ asking: '', problem: answer.ok ? null : answer.problem });
    if (answer.ok) this.props.onTold(answer.value);
  }

  render() {
    const { backup, isOld, now } = this.props;
    const { asking, problem } = this.state;
    const mayAsk = backup?.configured && backup.made_here;
    const isBusy = asking !== '' || Boolean(backup?.now);
    return html`<section class="panel backups" aria-labelledby="p-backups" aria-busy=${String(isBusy || !backup)}>
      <div class="panel-head">
        <h2 id="p-backups">${t('backups.title')}</h2>
        ${mayAsk && html`<span class="backups-buttons">
          <button type="button" class="button small" disabled=${isBusy || !backup.last} onClick=${() => void this.#ask('backup/drill')}>${icon('undo')}${t('backups.drill-now')}</button>
          <button type="button" class="button small" disabled=${isBusy} onClick=${() => void this.#ask('backup')}>${icon('copy')}${t('backups.now')}</button>
        </span>`}
      </div>
      <${Trouble} problem=${problem} />
      ${!backup ? html`<p class="soft">${t(isOld ? 'backups.unread' : 'backups.reading')}</p>`
        : backup.configured ? html`<${Known} backup=${backup} now=${now} />` : none()}
    </section>`;
  }
}

const none = () => html`<div class="backups-none">
  <p><b>${t('backups.none')}</b>${' '}${t('backups.none-why')}</p>
  <p class="soft">${t('backups.none-how')}</p>
  <pre tabIndex=${0} aria-label=${t('backups.none-lines')}>${LINES.join('\n')}</pre>
  <p class="soft">${t('backups.none-then')}</p>
</div>`;

/** @param {{ backup: Backup, now: number }} props */
function Known({ backup, now }) {
  const { last, drill, repository, error, tried_at: tried } = backup;
  return html`<div class="backups-known">
    <${Doing} backup=${backup} now=${now} />
    ${error && failure('backups.failed', error, tried, now)}
    ${drill?.error && failure('backups.drill-failed', drill.error, drill.at, now)}
    <dl class="backups-facts">
      ${fact('backups.last', last ? since(last.at, now) : t('backups.never'), last ? error ? 'warn' : 'good' : 'warn',
        last && soft('backups.last-what', { people: last.people, files: last.files.toLocaleString(), amount: amount(last.bytes), added: amount(last.added_bytes), span: took(last.seconds) }),
        last && last.left_out > 0 && soft('backups.left-out', { count: last.left_out }),
        last && last.moving > 0 && soft('backups.moving', { count: last.moving }))}
      ${fact('backups.drill', drill ? since(drill.at, now) : t('backups.no-drill'), drill ? drill.ok ? 'good' : 'stop' : 'warn',
        drill ? drill.ok && soft('backups.drill-what', { files: drill.files.toLocaleString(), amount: amount(drill.bytes), span: took(drill.seconds) })
          : soft('backups.no-drill-why'))}
      ${fact('backups.next', planned(backup, now), '',
        soft(next(backup), { every: backup.every ?? '', drill: backup.drill_every ?? '' }))}
      ${repository && fact('backups.where', t(/** @type {TextKey} */ (`backups.kind-${repository.kind}`)), '', html`<span class="soft">${repository.place}</span>`)}
    </dl>
  </div>`;
}

/** @param {Backup} backup @param {number} now */
function planned({ made_here: isHere, next_at: at }, now) {
  if (!isHere) return t('backups.by-root');
  if (!at) return t('backups.unplanned');
  const seconds = (Date.parse(at) - now) / 1000;
  return seconds <= 0 ? t('backups.due') : t('backups.in', { span: span(seconds) });
}

/** @param {Backup} backup @returns {TextKey} */
function next({ made_here: isHere, every, drill_every: drill }) {
  if (!isHere) return 'backups.by-root-how';
  if (!every) return 'backups.unplanned-how';
  return drill ? 'backups.every-both' : 'backups.every';
}

/** @param {number} seconds */
const took = (seconds) => (seconds < 60 ? t('backups.seconds', { count: Math.max(Math.round(seconds), 1) }) : span(seconds));

/** @param {TextKey} key @param {Record<string, string | number>} [values] */
const soft = (key, values) => html`<span class="soft" key=${key}>${t(key, values)}</span>`;

/** @param {TextKey} name @param {string} value @param {'' | 'good' | 'warn' | 'stop'} tone @param {...import('../../vendor/preact/preact.mjs').Child} more */
const fact = (name, value, tone, ...more) => html`<div key=${name}>
  <dt>${t(name)}</dt>
  <dd>
    <b class="state" data-tone=${tone}>${tone && icon(tone === 'good' ? 'state-good' : 'alert')}${value}</b>
    ${more}
  </dd>
</div>`;

/** What it comes from, and what helps: a semicolon is between. @param {TextKey} name @param {string} why @param {string | null} at @param {number} now */
function failure(name, why, at, now) {
  const place = why.indexOf('; ');
  const remedy = place < 0 ? '' : why.slice(place + 2);
  return html`<div class="backups-failed" key=${name}>
    <span class="state" data-tone="stop">${icon('alert')}</span>
    <span>
      <b>${t(name, { since: at ? since(at, now) : '' })}</b>
      <span>${capital(place < 0 ? why : why.slice(0, place))}</span>
      ${remedy && html`<span class="remedy">${capital(remedy)}</span>`}
    </span>
  </div>`;
}

/** @param {string} text */
const capital = (text) => text.charAt(0).toLocaleUpperCase() + text.slice(1);

/** @param {{ backup: Backup, now: number }} props */
function Doing({ backup: { now: step, progress }, now }) {
  const text = step && progress
    ? t(step === 'drill' ? progress.done > 0 ? 'backups.checking' : 'backups.drilling' : progress.of > 0 ? 'backups.making-of' : 'backups.making', {
      done: progress.done, of: progress.of, span: span(Math.max((now - Date.parse(progress.since)) / 1000, 0)),
    }) : '';
  return html`<div class="backups-doing" role="status">
    ${text && html`<span>${icon('state-busy')}${text}</span>`}
    ${text && progress && html`<progress aria-label=${text} ...${progress.of > 0 && { value: progress.done, max: progress.of }} />`}
  </div>`;
}
