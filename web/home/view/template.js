/** What one desktop is made of, on its page: to be read, changed, and gone back from. */

import { Component, h } from '../../vendor/preact/preact.mjs';
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
    return h('section', { class: 'panel rows template', 'aria-labelledby': 'p-template' },
      h('h2', { id: 'p-template' }, t('template.title')),
      view ? this.#whole(view)
        : problem ? h(Failed, { title: t('template.unread'), problem, onRetry: () => void this.#read() })
          : h('p', { class: 'soft row-ghost', 'aria-busy': 'true' }, t('template.reading')),
      review && h(Review, {
        review, session, model, actions, busy, problem,
        onBack: () => this.#dispatch({ type: 'back' }),
        onApply: (/** @type {boolean} */ restart, /** @type {string} */ note) => void this.#apply(review, restart, note),
      }));
  }

  /** @param {TemplateView} view */
  #whole(view) {
    const { draft, faults, theirs, problem, review } = this.state;
    const isFaulty = (faults?.length ?? 0) > 0;
    const lines = new Map((faults ?? []).map(({ line, place, message }) => [line, [place, message].filter(Boolean).join(' ')]));
    return [
      h('p', { key: 'hint', class: 'soft' }, t('template.hint'), ' ', !view.may_edit && t('template.read-only')),
      view.text === null && h('p', { key: 'gone', class: 'hint warn' }, t(view.may_edit ? 'template.gone-edit' : 'template.gone', { name: view.base })),
      view.running === false && h('p', { key: 'later', class: 'hint warn template-later' }, icon('clock'), t('template.later')),
      theirs && h('div', { key: 'theirs', class: 'template-theirs', role: 'alert' },
        h('p', null, icon('alert'), t('template.overtaken', { number: theirs.version })),
        h('button', { type: 'button', class: 'button small', onClick: () => this.#settle('keep') }, t('template.keep')),
        h('button', { type: 'button', class: 'button small', onClick: () => this.#settle('take') }, t('template.take'))),
      h(Editor, {
        key: 'editor', label: t('template.editor'), describedBy: 'template-keys template-said', text: draft, readonly: !view.may_edit, isBad: isFaulty, faults: lines,
        hold: (/** @type {Editor | null} */ editor) => { this.#editor = editor; },
        onType: (/** @type {string} */ text) => this.#type(text),
      }),
      view.may_edit && h('p', { key: 'keys', class: 'hint', id: 'template-keys' }, t('template.keys')),
      view.may_edit && this.#said(view),
      h(Trouble, { key: 'trouble', problem: review ? null : problem }),
      this.#versions(view),
    ];
  }

  /** What is wrong with what was typed, and what can be done with it. @param {TemplateView} view */
  #said(view) {
    const { faults, theirs } = this.state;
    const isDirty = isChanged(this.state);
    const count = faults?.length ?? 0;
    return h('div', { key: 'said', class: 'template-said' },
      h('p', { id: 'template-said', class: count > 0 ? 'hint warn' : 'hint', 'aria-live': 'polite' },
        count > 0 ? t(count === 1 ? 'template.fault' : 'template.faults', { count }) : isDirty && faults !== null ? t('template.good') : ''),
      count > 0 && h('ol', null, ...(faults ?? []).map(({ line, place, message }, at) => h('li', { key: at },
        line > 0
          ? h('button', { type: 'button', class: 'button small', onClick: () => this.#editor?.goTo(line) }, t('template.line', { line }))
          : h('b', null, t('template.whole')),
        h('span', null, place && h('code', null, place), place && ' ', message)))),
      h('div', { class: 'template-acts' },
        h('button', {
          type: 'button', class: 'button primary', disabled: !isDirty || count > 0 || theirs !== null,
          onClick: () => this.#dispatch({ type: 'review', review: { what: 'apply', number: view.version + 1, from: view.text ?? '', to: this.state.draft } }),
        }, t('template.review')),
        isDirty && h('button', { type: 'button', class: 'button', onClick: () => this.#settle('drop') }, t('template.drop'))));
  }

  /** @param {TemplateView} view */
  #versions(view) {
    const { versions, busy } = this.state;
    return h('section', { key: 'versions', class: 'template-versions', 'aria-labelledby': 'template-versions' },
      h('h3', { id: 'template-versions' }, t('template.versions')),
      versions === null ? null : versions.length < 2 ? h('p', { class: 'soft' }, t('template.no-versions'))
        : h('ul', null, ...versions.map(({ number, author, created_at: made, note }) => h('li', { key: number, 'data-version': number },
          h('span', { class: 'row-main' },
            h('b', { class: 'clip' }, [number === 0 ? t('template.as-server') : t('template.version', { number }), note].filter(Boolean).join(': ')),
            h('span', { class: 'soft', title: new Date(made).toLocaleString() }, number === 0 ? t('template.first')
              : t('template.by', { author: author ?? '', when: since(made, this.props.model.now) }))),
          number === versions[0]?.number ? h('span', { class: 'tag' }, t('template.current')) : h('span', { class: 'template-acts' },
            h('button', {
              type: 'button', class: 'button small', disabled: busy !== '', 'aria-label': t('template.compare-name', { number }),
              onClick: () => void this.#compare(number, 'look'),
            }, t('template.compare')),
            view.may_edit && h('button', {
              type: 'button', class: 'button small', disabled: busy !== '', 'aria-label': t('template.restore-name', { number }),
              onClick: () => void this.#compare(number, 'back'),
            }, t('template.restore')))))));
  }
}
