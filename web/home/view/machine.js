/** The machine, for administrators: how busy it is, what it carries, and what is wrong with it. */

import { Component } from '../../vendor/preact/preact.mjs';
import { html } from '../html.js';
import { called, titled } from '../state.js';
import { amount, span, stateWord, t } from '../words.js';
import { Backups } from './backups.js';
import { Failed, icon } from './parts.js';
import { Images, Volumes } from './stock.js';

/** @import { Actions } from '../main.js' */
/** @import { Answer, Check, Figures, Model, Problem, Room, Session, SessionState } from '../types.js' */
/** @import { TextKey } from '../words.js' */

/** @typedef {{ model: Model, actions: Actions }} Props */
/** @typedef {{ figures: Figures | null, isOld: boolean, checks: readonly Check[] | null, problem: Problem | null, isAsking: boolean, again: number }} Known */

/** So many lines of those that take most. */
const MOST = 8;
/** What an engine with many images answers slowly is waited for. */
const PATIENCE_MS = 60_000;
/** Above this share something is nearly used up. */
const SCARCE = 0.9;

/** @extends {Component<Props, Known>} */
export class Machine extends Component {
  /** @type {EventSource | null} */
  #source = null;
  /** How backups are doing. @type {import('../types.js').Backup | null} */
  #backup = null;
  /** A browser has six connections to a server without TLS. */
  #look = () => (document.hidden ? this.#stop() : this.#follow());

  /** @param {Props} props */
  constructor(props) {
    super(props);
    /** @type {Known} */
    const nothing = { figures: null, isOld: false, checks: null, problem: null, isAsking: false, again: 0 };
    this.state = nothing;
  }

  componentDidMount() {
    document.addEventListener('visibilitychange', this.#look);
    this.#follow();
    void this.#check();
  }

  componentWillUnmount() {
    document.removeEventListener('visibilitychange', this.#look);
    this.#stop();
  }

  #stop() {
    this.#source?.close();
    this.#source = null;
  }

  #follow() {
    this.#stop();
    const source = new EventSource(this.props.actions.url('machine/figures'));
    source.addEventListener('figures', ({ data }) => this.#see(JSON.parse(data)));
    source.addEventListener('backup', ({ data }) => this.#tell(JSON.parse(data)));
    // Each answer ends after a while and is asked for again; one that is refused is not.
    source.addEventListener('error', () => {
      if (source.readyState === EventSource.CLOSED) this.setState({ isOld: true });
    });
    this.#source = source;
  }

  /** @param {Figures} figures */
  #see(figures) {
    const before = this.state.figures;
    this.setState({ figures, isOld: false });
    // A build has ended: there may be another image, and one less may be missed.
    if (before && before.builds_revision !== figures.builds_revision) this.#lookAgain();
  }

  /** @param {import('../types.js').Backup} backup */
  #tell(backup) {
    this.#backup = backup;
    this.forceUpdate();
  }

  async #check() {
    this.setState({ isAsking: true });
    /** @type {Answer<{ checks: Check[] }>} */
    const answer = await this.props.actions.ask('GET', 'machine/checks', undefined, PATIENCE_MS);
    this.setState(answer.ok ? { checks: answer.value.checks, problem: null, isAsking: false } : { problem: answer.problem, isAsking: false });
  }

  /** At everything that does not come by itself. */
  #lookAgain() {
    this.setState({ again: this.state.again + 1 });
    void this.#check();
  }

  render() {
    const { model, actions } = this.props;
    const { figures, isOld, checks, problem, isAsking, again } = this.state;
    const sessions = model.sessions.items ?? [];
    const stock = { model, actions, again, builds: isOld ? [] : figures?.builds ?? [] };
    return html`<main class="content machine" id="content">
      <div class="section-head">
        <h1>${t('machine.title')}</h1>
        ${figures && html`<span class="soft">${t(isOld || model.live.state === 'lost' ? 'machine.old' : 'machine.up', { version: figures.version, span: span(figures.up_s) })}</span>`}
      </div>
      <${Tiles} figures=${figures} waiting=${sessions.filter(({ state }) => state === 'queued').length} />
      <${Backups} backup=${this.#backup} isOld=${isOld} now=${model.now} actions=${this.props.actions} onTold=${(/** @type {import('../types.js').Backup} */ backup) => this.#tell(backup)} />
      <div class="project-body">
        <div class="project-side">
          <section class="panel rows" aria-labelledby="p-checks" aria-busy=${String(isAsking)}>
            <div class="panel-head">
              <h2 id="p-checks">${t('machine.checks')}</h2>
              <button type="button" class="button small" disabled=${isAsking} onClick=${() => this.#lookAgain()}>${icon('update')}${t('machine.again')}</button>
            </div>
            ${problem ? html`<${Failed} title=${t('machine.unchecked')} problem=${problem} onRetry=${() => void this.#check()} />`
              : checks ? list(checks) : html`<p class="soft">${t('machine.checking')}</p>`}
          </section>
        </div>
        <div class="project-side">
          <${Places} figures=${figures} sessions=${sessions} />
          <${Busiest} sessions=${sessions} />
        </div>
      </div>
      <div class="machine-stock"><${Volumes} ...${stock} /><${Images} ...${stock} /></div>
    </main>`;
  }
}

/** @param {{ figures: Figures | null, waiting: number }} props */
function Tiles({ figures, waiting }) {
  if (!figures) return html`<ul class="tiles" aria-busy="true" aria-label=${t('machine.measuring')}>${[1, 2, 3, 4].map((key) => html`<li key=${key} class="panel ghost" />`)}</ul>`;
  const { sessions, viewers, cores, load, pressure_percent: pressure, memory, disk, desktops_bytes: desktops } = figures;
  const running = sessions.running ?? 0;
  const states = Object.entries(sessions).filter(([state, count]) => state !== 'running' && state !== 'stopped' && count > 0);
  const others = states.map(([state, count]) => `${count} ${stateWord(/** @type {SessionState} */ (state)).toLocaleLowerCase()}`);
  const busy = load ? Math.min((load[0] ?? 0) / Math.max(cores, 1), 1) : 0;
  return html`<ul class="tiles">
    ${tile('machine.desktops', t(running === 1 ? 'machine.running-one' : 'machine.running', { count: running }),
      [t(viewers === 1 ? 'machine.viewers-one' : 'machine.viewers', { count: viewers }), ...others].join(' · '), null, waiting > 0)}
    ${tile('machine.cpu', load ? t('machine.load', { load: (load[0] ?? 0).toFixed(1), cores }) : t('project.unknown'),
      pressure === null ? '' : t('machine.pressure', { percent: Math.round(pressure) }), busy)}
    ${tile('machine.memory', of(memory), desktops > 0 ? t('machine.memory-desktops', { amount: amount(desktops) }) : t('machine.free', { amount: amount(memory.free_bytes) }), share(memory))}
    ${tile('machine.disk', of(disk), t('machine.free', { amount: amount(disk.free_bytes) }), share(disk))}
  </ul>`;
}

/** @param {Room} room */
const share = ({ total_bytes: total, free_bytes: free }) => (total > 0 ? (total - free) / total : null);

/** @param {Room} room */
const of = ({ total_bytes: total, free_bytes: free }) => (total > 0
  ? t('project.used-of', { used: amount(total - free), limit: amount(total) }) : t('project.unknown'));

/** @param {TextKey} name @param {string} value @param {string} more @param {number | null} part of 1 @param {boolean} [isScarce] */
const tile = (name, value, more, part, isScarce = (part ?? 0) > SCARCE) => html`<li key=${name} class="panel tile" data-scarce=${String(isScarce)}>
  <h2 id="t-${name}">${t(name)}</h2>
  <b>${value}</b>
  ${part !== null && html`<div
    class="meter-bar" role="meter" aria-labelledby="t-${name}" aria-valuemin=${0} aria-valuemax=${100} aria-valuenow=${Math.round(part * 100)} aria-valuetext=${value} data-full=${String(isScarce)}
  ><div style=${{ inlineSize: `${part * 100}%` }} /></div>`}
  <span class="soft">${more}</span>
</li>`;

/** @type {Readonly<Record<Check['verdict'], { tone: 'good' | 'warn' | 'stop', glyph: keyof typeof import('./icons.js').ICONS, word: TextKey }>>} */
const VERDICTS = {
  fault: { tone: 'stop', glyph: 'alert', word: 'machine.fault' },
  warning: { tone: 'warn', glyph: 'alert', word: 'machine.warning' },
  ok: { tone: 'good', glyph: 'state-good', word: 'machine.ok' },
};
const ORDER = /** @type {readonly Check['verdict'][]} */ (Object.keys(VERDICTS));

/** What is wrong first. @param {readonly Check[]} checks */
const list = (checks) => html`<ul class="checks">${ORDER.flatMap((verdict) => checks.filter((check) => check.verdict === verdict)).map((check) => {
  const { tone, glyph, word } = VERDICTS[check.verdict];
  return html`<li key="${check.what} ${check.text}" data-verdict=${check.verdict}>
    <span class="state" data-tone=${tone}>${icon(glyph)}<span class="away">${t(word)}</span></span>
    <span class="row-main">
      <b>${check.what}</b>
      <span class="soft">${check.text}</span>
      ${check.remedy && html`<span class="remedy">${check.remedy}</span>`}
    </span>
  </li>`;
})}</ul>`;

/** Who waits, what is ready for them, and what nobody gets more of. @param {{ figures: Figures | null, sessions: readonly Session[] }} props */
function Places({ figures, sessions }) {
  const inLine = sessions.flatMap(({ queue }) => (queue ? [queue] : [])).toSorted((a, b) => b.position - a.position);
  const last = inLine[0]?.eta_s ?? null;
  const count = inLine.length;
  const line = count === 0 ? t('machine.line-none') : last === null ? t('machine.line-unknown', { count }) : t('machine.line-some', { count, span: span(last) });
  const row = (/** @type {TextKey} */ name, /** @type {string | number} */ value) => html`<div key=${name}><dt>${t(name)}</dt><dd>${value}</dd></div>`;
  return html`<section class="panel rows" aria-labelledby="p-places" aria-busy=${String(!figures)}>
    <h2 id="p-places">${t('machine.places')}</h2>
    ${figures && html`<dl class="facts">
      ${row('machine.ready', figures.pool && figures.pool.wanted > 0 ? t('machine.ready-of', figures.pool) : t('machine.ready-none'))}
      ${row('machine.line', line)}
      ${row('machine.starts', figures.limits.starts)}
      ${row('machine.reserve', amount(figures.limits.reserve_bytes))}
      ${row('machine.most-viewers', figures.limits.viewers)}
      ${row('machine.encoders', figures.limits.encoders || t('machine.encoders-none'))}
    </dl>`}
  </section>`;
}

/** @param {{ sessions: readonly Session[] }} props */
function Busiest({ sessions }) {
  const known = sessions.filter(({ usage }) => usage?.memory_bytes);
  const most = known.toSorted((a, b) => (b.usage?.memory_bytes ?? 0) - (a.usage?.memory_bytes ?? 0)).slice(0, MOST);
  return html`<section class="panel rows" aria-labelledby="p-busiest">
    <h2 id="p-busiest">${t('machine.busiest')}</h2>
    ${most.length === 0 ? html`<p class="soft">${t(sessions.some(({ state }) => state === 'running') ? 'project.unknown' : 'machine.none-run')}</p>`
      : html`<ul>${most.map((session) => html`<li key=${session.id}>
        <span class="row-main">
          <a class="clip" href="#desktop/${session.id}">${titled(session)}</a>
          <span class="soft clip">${called(session.owner)}</span>
        </span>
        <span class="numbers">
          <b>${amount(session.usage?.memory_bytes ?? 0)}</b>
          <span class="soft">${session.usage?.cpu_percent === null ? '' : t('project.cpu-value', { percent: session.usage?.cpu_percent ?? 0 })}</span>
        </span>
      </li>`)}</ul>`}
  </section>`;
}
