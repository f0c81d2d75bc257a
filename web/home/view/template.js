/** What one desktop is made of, on its page: to be read, changed, and gone back from. */

import { Component } from '../../vendor/preact/preact.mjs';
import { html } from '../html.js';
import { path as joined } from '../api.js';
import { apply, initial, isChanged } from '../template.js';
import { since, t } from '../words.js';
import { Editor } from './editor.js';
import { Failed, Trouble, icon } from './parts.js';
import { Review } from './template-review.js';

/** @import { Actions } from '../main.js' */
/** @import { Answer, Model, Session } from '../types.js' */
/** @import { TemplateEvent, TemplateFault, TemplateModel, TemplateReview, TemplateVersion, TemplateView } from '../kept.js' */

/** So long nobody may have typed before the text is looked through. */
const CALM_MS = 350;
/** The first snapshot of very much takes its time. */
const PATIENCE_MS = 30 * 60_000;

/**
 * @typedef {{ session: Session, model: Model, actions: Actions }} Props
 * @extends {Component<Props, TemplateModel>}
 */
export class Template extends Component {
  #model = initial();
  /** @type {Editor | null} */
  #editor = null;
  #timer = 0;
  /** What was told when it was last read. */
  #known = '';

  /** @param {Props} props */
  constructor(props) {
    super(props);
    this.state = this.#model;
  }

  componentDidMount() {
    void this.#read();
  }

  componentWillUnmount() {
    clearTimeout(this.#timer);
  }

  /** Somebody else applied one, or the desktop has started with one. */
  componentDidUpdate() {
    if (this.#facts() !== this.#known && this.#model.busy === '') void this.#read();
  }

  /** What is told of it wherever the desktop is told of. */
  #facts() {
    const { template_version: version, template_current: isCurrent } = this.props.session;
    return `${version} ${isCurrent}`;
  }

  /** @param {TemplateEvent} event */
  #dispatch(event) {
    this.#model = apply(this.#model, event);
    this.setState(this.#model);
  }

  get #root() {
    return joined('sessions', this.props.session.id, 'template');
  }

  /** Its value, where it is a good one. @template T @param {Answer<T>} answer */
  #taken(answer) {
    if (answer.ok) return answer.value;
    this.#dispatch({ type: 'refused', problem: answer.problem });
    return null;
  }

  async #read() {
    this.#known = this.#facts();
    this.#dispatch({ type: 'asking', what: 'read' });
    /** @type {[Answer<TemplateView>, Answer<{ versions: TemplateVersion[] }>]} */
    const [view, list] = await Promise.all([
      this.props.actions.ask('GET', this.#root), this.props.actions.ask('GET', `${this.#root}/versions`),
    ]);
    const listed = this.#taken(list);
    if (listed) this.#dispatch({ type: 'versions', ...listed });
    const read = this.#taken(view);
    if (read) this.#dispatch({ type: 'read', view: read });
  }

  /** @param {string} text */
  #type(text) {
    this.#dispatch({ type: 'typed', text });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#check(text), CALM_MS);
  }

  /** Where that fails nothing is said: it is looked through again when it is applied. @param {string} text */
  async #check(text) {
    /** @type {Answer<{ faults: TemplateFault[] }>} */
    const answer = await this.props.actions.ask('POST', `${this.#root}/check`, { text });
    if (answer.ok) this.#dispatch({ type: 'checked', text, ...answer.value });
  }

  /** What a version says, beside what holds now. @param {number} number @param {'back' | 'look'} what */
  async #compare(number, what) {
    this.#dispatch({ type: 'asking', what: 'version' });
    /** @type {Answer<TemplateVersion>} */
    const answer = await this.props.actions.ask('GET', `${this.#root}/versions/${number}`);
    const version = this.#taken(answer);
    if (!version) return;
    const now = this.#model.view?.text ?? '';
    const [from, to] = what === 'back' ? [now, version.text ?? ''] : [version.text ?? '', now];
    this.#dispatch({ type: 'review', review: { what, number, from, to } });
  }

  /** @param {TemplateReview} review @param {boolean} restart @param {string} note */
  async #apply(review, restart, note) {
    const { view, draft } = this.#model;
    if (!view) return;
    this.#dispatch({ type: 'asking', what: restart ? 'restart' : 'apply' });
    const based = { based_on: view.version, restart };
    /** @type {Answer<{ template: TemplateView, restarted: boolean }>} */
    const answer = review.what === 'back'
      ? await this.props.actions.ask('POST', `${this.#root}/versions/${review.number}/restore`, based, PATIENCE_MS)
      : await this.props.actions.ask('PUT', this.#root, { ...based, text: draft, note }, PATIENCE_MS);
    if (!answer.ok && answer.problem.status === 409) await this.#read();
    if (this.#model.theirs) return;
    const applied = this.#taken(answer);
    if (!applied) return;
    this.#dispatch({ type: 'applied', view: applied.template });
    const word = applied.restarted ? 'template.applied-restart' : restart ? 'template.applied-only' : 'template.applied';
    this.props.actions.say(t(word, { number: applied.template.version }), restart && !applied.restarted ? 'stop' : '');
    // The button that was pressed cannot be pressed any more.
    this.#editor?.focus();
    void this.#read();
  }

  /** What was pressed is gone with it. @param {'keep' | 'take' | 'drop'} type */
  #settle(type) {
    this.#dispatch({ type });
    this.#editor?.focus();
    if (type === 'keep') void this.#check(this.#model.draft);
  }

  render() {
    const { session, model, actions } = this.props;
    const { view, review, problem, busy } = this.state;
    return html`<section class="panel rows template" aria-labelledby="p-template">
      <h2 id="p-template">${t('template.title')}</h2>
      ${view ? this.#whole(view)
        : problem ? html`<${Failed} title=${t('template.unread')} problem=${problem} onRetry=${() => void this.#read()} />`
          : html`<p class="soft row-ghost" aria-busy="true">${t('template.reading')}</p>`}
      ${review && html`<${Review}
        review=${review} session=${session} model=${model} actions=${actions} busy=${busy} problem=${problem}
        onBack=${() => this.#dispatch({ type: 'back' })}
        onApply=${(/** @type {boolean} */ restart, /** @type {string} */ note) => void this.#apply(review, restart, note)}
      />`}
    </section>`;
  }

  /** @param {TemplateView} view */
  #whole(view) {
    const { draft, faults, theirs, problem, review } = this.state;
    const isFaulty = (faults?.length ?? 0) > 0;
    const lines = new Map((faults ?? []).map(({ line, place, message }) => [line, [place, message].filter(Boolean).join(' ')]));
    return [
      html`<p key="hint" class="soft">${t('template.hint')}${' '}${!view.may_edit && t('template.read-only')}</p>`,
      view.text === null && html`<p key="gone" class="hint warn">${t(view.may_edit ? 'template.gone-edit' : 'template.gone', { name: view.base })}</p>`,
      view.running === false && html`<p key="later" class="hint warn template-later">${icon('clock')}${t('template.later')}</p>`,
      theirs && html`<div key="theirs" class="template-theirs" role="alert">
        <p>${icon('alert')}${t('template.overtaken', { number: theirs.version })}</p>
        <button type="button" class="button small" onClick=${() => this.#settle('keep')}>${t('template.keep')}</button>
        <button type="button" class="button small" onClick=${() => this.#settle('take')}>${t('template.take')}</button>
      </div>`,
      html`<${Editor}
        key="editor" label=${t('template.editor')} describedBy="template-keys template-said" text=${draft} readonly=${!view.may_edit} isBad=${isFaulty} faults=${lines}
        hold=${(/** @type {Editor | null} */ editor) => { this.#editor = editor; }}
        onType=${(/** @type {string} */ text) => this.#type(text)}
      />`,
      view.may_edit && html`<p key="keys" class="hint" id="template-keys">${t('template.keys')}</p>`,
      view.may_edit && this.#said(view),
      html`<${Trouble} key="trouble" problem=${review ? null : problem} />`,
      this.#versions(view),
    ];
  }

  /** What is wrong with what was typed, and what can be done with it. @param {TemplateView} view */
  #said(view) {
    const { faults, theirs } = this.state;
    const isDirty = isChanged(this.state);
    const count = faults?.length ?? 0;
    return html`<div key="said" class="template-said">
      <p id="template-said" class=${count > 0 ? 'hint warn' : 'hint'} aria-live="polite">
        ${count > 0 ? t(count === 1 ? 'template.fault' : 'template.faults', { count }) : isDirty && faults !== null ? t('template.good') : ''}
      </p>
      ${count > 0 && html`<ol>${(faults ?? []).map(({ line, place, message }, at) => html`<li key=${at}>
        ${line > 0
          ? html`<button type="button" class="button small" onClick=${() => this.#editor?.goTo(line)}>${t('template.line', { line })}</button>`
          : html`<b>${t('template.whole')}</b>`}
        <span>${place && html`<code>${place}</code>`}${place && ' '}${message}</span>
      </li>`)}</ol>`}
      <div class="template-acts">
        <button
          type="button" class="button primary" disabled=${!isDirty || count > 0 || theirs !== null}
          onClick=${() => this.#dispatch({ type: 'review', review: { what: 'apply', number: view.version + 1, from: view.text ?? '', to: this.state.draft } })}
        >${t('template.review')}</button>
        ${isDirty && html`<button type="button" class="button" onClick=${() => this.#settle('drop')}>${t('template.drop')}</button>`}
      </div>
    </div>`;
  }

  /** @param {TemplateView} view */
  #versions(view) {
    const { versions, busy } = this.state;
    return html`<section key="versions" class="template-versions" aria-labelledby="template-versions">
      <h3 id="template-versions">${t('template.versions')}</h3>
      ${versions === null ? null : versions.length < 2 ? html`<p class="soft">${t('template.no-versions')}</p>`
        : html`<ul>${versions.map(({ number, author, created_at: made, note }) => html`<li key=${number} data-version=${number}>
          <span class="row-main">
            <b class="clip">${[number === 0 ? t('template.as-server') : t('template.version', { number }), note].filter(Boolean).join(': ')}</b>
            <span class="soft" title=${new Date(made).toLocaleString()}>${number === 0 ? t('template.first')
              : t('template.by', { author: author ?? '', when: since(made, this.props.model.now) })}</span>
          </span>
          ${number === versions[0]?.number ? html`<span class="tag">${t('template.current')}</span>` : html`<span class="template-acts">
            <button
              type="button" class="button small" disabled=${busy !== ''} aria-label=${t('template.compare-name', { number })}
              onClick=${() => void this.#compare(number, 'look')}
            >${t('template.compare')}</button>
            ${view.may_edit && html`<button
              type="button" class="button small" disabled=${busy !== ''} aria-label=${t('template.restore-name', { number })}
              onClick=${() => void this.#compare(number, 'back')}
            >${t('template.restore')}</button>`}
          </span>`}
        </li>`)}</ul>`}
    </section>`;
  }
}
