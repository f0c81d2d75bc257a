/** The snapshots of what a person keeps: which there are, what is in them, and putting it back. */

import { Component } from '../../vendor/preact/preact.mjs';
import { html } from '../html.js';
import { path as joined } from '../api.js';
import { MOST_PICTURE, MOST_TEXT, apply, crumbs, initial, pictureType, size, textOf, within } from '../snapshots.js';
import { sessionOf, titled } from '../state.js';
import { SNAPSHOT_CAUSES, SNAPSHOT_KINDS, since, t } from '../words.js';
import { FIRST, Modal, Trouble, icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Answer, Dialog, Model } from '../types.js' */
/** @import { Browsed, Preview, Snapshot, SnapshotEntry, SnapshotKind, SnapshotsEvent, SnapshotsModel } from '../kept.js' */
/** @import { Child } from '../../vendor/preact/preact.mjs' */

/** @typedef {{ model: Model, dialog: Extract<Dialog, { kind: 'snapshots' }>, actions: Actions }} Props */

/** The first snapshot of very much takes its time. */
const PATIENCE_MS = 30 * 60_000;

/** A picture stays in memory as long as it has an address. @param {Preview | null} preview */
const forget = (preview) => { if (preview?.picture) URL.revokeObjectURL(preview.picture); };

/** @extends {Component<Props, SnapshotsModel>} */
export class Snapshots extends Component {
  #model = initial();

  /** @param {Props} props */
  constructor(props) {
    super(props);
    this.state = this.#model;
  }

  componentDidMount() {
    void this.#list();
  }

  componentWillUnmount() {
    forget(this.#model.preview);
  }

  /** @param {SnapshotsEvent} event */
  #dispatch(event) {
    const before = this.#model.preview;
    this.#model = apply(this.#model, event);
    if (before !== this.#model.preview) forget(before);
    this.setState(this.#model);
  }

  get #root() {
    return joined('sessions', this.props.dialog.session, 'snapshots');
  }

  /** @param {Snapshot} snapshot @param {'tree' | 'file' | 'zip'} what @param {Record<string, string>} query */
  #path = (snapshot, what, query) => `${this.#root}/${snapshot.id}/${what}?${new URLSearchParams(query)}`;

  /** Its value, where it is a good one. @template T @param {Answer<T>} answer */
  #taken(answer) {
    if (answer.ok) return answer.value;
    this.#dispatch({ type: 'refused', problem: answer.problem });
    return null;
  }

  async #list() {
    /** @type {Answer<{ kind: SnapshotKind, snapshots: Snapshot[] }>} */
    const answer = await this.props.actions.ask('GET', this.#root);
    const listed = this.#taken(answer);
    if (listed) this.#dispatch({ type: 'listed', ...listed });
  }

  async #take() {
    this.#dispatch({ type: 'asking', what: 'take' });
    const answer = await this.props.actions.ask('POST', this.#root, undefined, PATIENCE_MS);
    if (this.#taken(answer) === null) return;
    await this.#list();
    this.props.actions.say(t('snapshots.made'));
  }

  /** @param {Snapshot} snapshot @param {string} path */
  async #browse(snapshot, path) {
    this.#dispatch({ type: 'asking', what: 'read' });
    /** @type {Answer<{ entries: SnapshotEntry[], cut: boolean }>} */
    const answer = await this.props.actions.ask('GET', this.#path(snapshot, 'tree', { path }));
    const tree = this.#taken(answer);
    if (tree) this.#dispatch({ type: 'browsed', folder: { snapshot, path, ...tree } });
  }

  /** @param {Browsed} folder @param {SnapshotEntry} entry */
  async #look(folder, entry) {
    const type = entry.bytes <= MOST_PICTURE ? pictureType(entry.name) : null;
    const most = type ? MOST_PICTURE : MOST_TEXT;
    const path = within(folder, entry.name);
    this.#dispatch({ type: 'asking', what: 'read' });
    const answer = await this.props.actions.read(this.#path(folder.snapshot, 'file', { path, most: String(most) }));
    const bytes = this.#taken(answer);
    if (!bytes) return;
    const cut = entry.bytes > most;
    const picture = type ? URL.createObjectURL(new Blob([bytes], { type })) : null;
    const text = type ? null : textOf(bytes, cut);
    this.#dispatch({ type: 'previewed', preview: { name: entry.name, path, picture, text, cut } });
  }

  async #restore() {
    const { asked } = this.state;
    if (!asked) return;
    this.#dispatch({ type: 'asking', what: 'restore' });
    const path = `${this.#root}/${asked.snapshot.id}/restore`;
    const answer = await this.props.actions.ask('POST', path, { path: asked.path }, PATIENCE_MS);
    if (this.#taken(answer) === null) return;
    this.#dispatch({ type: 'restored' });
    this.props.actions.say(asked.path === '' ? t('snapshots.restored-all') : t('snapshots.restored', { path: asked.path }));
    void this.#list();
  }

  render() {
    const { model, dialog, actions } = this.props;
    const { asked, folder, preview, problem } = this.state;
    const name = titled(sessionOf(model, dialog.session) ?? { name: '' });
    return html`<${Modal} title=${t('snapshots.title', { name })} class="share snapshots" model=${model} actions=${actions}>
      ${asked ? this.#question(asked) : folder && preview ? this.#shown(folder, preview) : folder ? this.#folder(folder) : this.#all()}
      <${Trouble} problem=${problem} />
    <//>`;
  }

  #all() {
    const { busy, kind, snapshots, problem } = this.state;
    return html`<section key="all" class="rows" aria-labelledby="snapshots-title">
      <p class="soft">${t('snapshots.hint')}${' '}${kind && SNAPSHOT_KINDS[kind]}</p>
      <div class="snapshots-head">
        <h3 id="snapshots-title" tabindex=${-1}>${t('snapshots.kept')}</h3>
        <button type="button" class="button primary small" disabled=${busy !== ''} ...${FIRST} onClick=${() => void this.#take()}>
          ${icon('plus')}${t(busy === 'take' ? 'snapshots.making' : 'snapshots.make')}
        </button>
      </div>
      ${snapshots === null && !problem && html`<p class="soft row-ghost">${t('snapshots.reading')}</p>`}
      ${snapshots?.length === 0 && html`<p class="soft">${t('snapshots.none')}</p>`}
      ${snapshots !== null && snapshots.length > 0 && html`<ul>${snapshots.map((snapshot) => this.#row(snapshot))}</ul>`}
    </section>`;
  }

  /** @param {Snapshot} snapshot */
  #row(snapshot) {
    const { model } = this.props;
    const when = since(snapshot.created_at, model.now);
    const isBusy = this.state.busy !== '';
    return html`<li key=${snapshot.id} data-snapshot=${snapshot.id}>
      <span class="row-main">
        <b title=${new Date(snapshot.created_at).toLocaleString()}>${when}</b>
        ${snapshot.name !== undefined && html`<span class="snapshot-name">${snapshot.name}</span>`}
        <span class="soft">${[SNAPSHOT_CAUSES[snapshot.cause], t(snapshot.files === 1 ? 'snapshots.file' : 'snapshots.files', { count: snapshot.files }), size(snapshot.bytes)].filter(Boolean).join(', ')}</span>
      </span>
      <button type="button" class="button small" disabled=${isBusy} aria-label=${t('snapshots.look-name', { when })} onClick=${() => void this.#browse(snapshot, '')}>${t('snapshots.look')}</button>
      <button
        type="button" class="button small" disabled=${isBusy} aria-label=${t('snapshots.restore-all-name', { when })}
        onClick=${() => this.#dispatch({ type: 'ask', asked: { snapshot, path: '' } })}
      >${t('snapshots.restore')}</button>
    </li>`;
  }

  /** @param {Browsed} folder */
  #folder(folder) {
    const { snapshot, path, entries, cut } = folder;
    // Drawn anew for each, so that the keyboard goes on at its top.
    return html`<section key="folder ${path}" class="rows" aria-labelledby="folder-title">
      <h3 id="folder-title" class="away">${t('snapshots.data-at', { when: since(snapshot.created_at, this.props.model.now) })}</h3>
      <nav class="crumbs" aria-label=${t('snapshots.folder')}>
        <button type="button" class="button small" ...${FIRST} onClick=${() => this.#dispatch({ type: 'back' })}>${t('snapshots.all')}</button>
        ${this.#crumb(snapshot, '', t('project.data'), path === '')}
        ${crumbs(path).map((crumb) => this.#crumb(snapshot, crumb.path, crumb.name, crumb.path === path))}
        <span class="push" />
        ${this.#download(this.#path(snapshot, 'zip', { path }), t('snapshots.download-folder'))}
        ${path !== '' && this.#restoreButton(snapshot, path)}
      </nav>
      ${entries.length === 0 && html`<p class="soft">${t('snapshots.empty')}</p>`}
      ${entries.length > 0 && html`<ul>${entries.map((entry) => this.#entry(folder, entry))}</ul>`}
      ${cut && html`<p class="hint">${t('snapshots.cut')}</p>`}
    </section>`;
  }

  /** @param {Snapshot} snapshot @param {string} path @param {string} name @param {boolean} isHere */
  #crumb = (snapshot, path, name, isHere) => html`<button
    key=${path} type="button" class="button small clip" disabled=${this.state.busy !== ''} ...${isHere && { 'aria-current': 'true' }}
    onClick=${() => void this.#browse(snapshot, path)}
  >${name}</button>`;

  /** @param {Browsed} folder @param {SnapshotEntry} entry */
  #entry(folder, entry) {
    const path = within(folder, entry.name);
    const { snapshot } = folder;
    const open = entry.what === 'folder' ? () => void this.#browse(snapshot, path) : () => void this.#look(folder, entry);
    const act = t(entry.what === 'folder' ? 'snapshots.open-folder' : 'snapshots.look-at');
    return html`<li key="${entry.what} ${entry.name}" data-entry=${entry.name}>
      ${icon(entry.what === 'folder' ? 'folder' : entry.what === 'link' ? 'link' : 'file')}
      ${entry.what === 'link'
        ? html`<span class="row-main"><span class="clip">${entry.name}</span><span class="soft">${t('snapshots.link')}</span></span>`
        : html`<button type="button" class="row-main plain" disabled=${this.state.busy !== ''} onClick=${open}>
          <span class="away">${act}${' '}</span><span class="clip">${entry.name}</span>${entry.what === 'file' && html`<span class="soft">${size(entry.bytes)}</span>`}
        </button>`}
      ${this.#restoreButton(snapshot, path, entry.name)}
    </li>`;
  }

  /** @param {Snapshot} snapshot @param {string} path @param {string} [name] */
  #restoreButton = (snapshot, path, name = t('snapshots.this-folder')) => html`<button
    type="button" class="button small" aria-label=${t('snapshots.restore-name', { name })} disabled=${this.state.busy !== ''}
    onClick=${() => this.#dispatch({ type: 'ask', asked: { snapshot, path } })}
  >${t('snapshots.restore')}</button>`;

  /** @param {string} path @param {string} label */
  #download = (path, label) => html`<a class="button small" href=${this.props.actions.url(path)} download="" aria-label=${label}>${t('snapshots.download')}</a>`;

  /** @param {Browsed} folder @param {Preview} preview */
  #shown(folder, { name, path, picture, text, cut }) {
    return html`<section key="preview" class="preview" aria-labelledby="preview-title">
      <nav class="crumbs" aria-label=${t('snapshots.a-file')}>
        <button type="button" class="button small" ...${FIRST} onClick=${() => this.#dispatch({ type: 'back' })}>${t('snapshots.back')}</button>
        <h3 id="preview-title" class="clip">${name}</h3>
        <span class="push" />
        ${this.#download(this.#path(folder.snapshot, 'file', { path }), t('snapshots.download-name', { name }))}
        ${this.#restoreButton(folder.snapshot, path, name)}
      </nav>
      ${picture ? html`<img src=${picture} alt=${name} />`
        : text !== null ? html`<pre tabindex=${0} aria-label=${t('snapshots.text-of', { name })}>${text}</pre>`
          : html`<p class="soft">${t('snapshots.neither')}</p>`}
      ${cut && text !== null && html`<p class="hint">${t('snapshots.first', { size: size(MOST_TEXT) })}</p>`}
    </section>`;
  }

  /** @param {{ snapshot: Snapshot, path: string }} asked @returns {Child} */
  #question({ snapshot, path }) {
    const when = since(snapshot.created_at, this.props.model.now);
    const isBusy = this.state.busy !== '';
    const what = path === '' ? t('snapshots.ask-all', { when }) : t('snapshots.ask', { path, when });
    return html`<section key="question" aria-label=${t('snapshots.restore-verb')}>
      <p class="question">${what}${' '}${t('snapshots.ask-first')}</p>
      <div class="modal-foot">
        <button type="button" class="button" disabled=${isBusy} ...${FIRST} onClick=${() => this.#dispatch({ type: 'back' })}>${t('new.cancel')}</button>
        <button type="button" class="button primary" disabled=${isBusy} onClick=${() => void this.#restore()}>${t(isBusy ? 'snapshots.restoring' : 'snapshots.restore-verb')}</button>
      </div>
    </section>`;
  }
}
