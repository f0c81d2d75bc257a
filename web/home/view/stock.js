/** What the machine holds, for administrators: the images that desktops are made of, and what everybody keeps. */

import { Component } from '../../vendor/preact/preact.mjs';
import { html } from '../html.js';
import { called } from '../state.js';
import { amount, shortDigest, since, t } from '../words.js';
import { Builds } from './builds.js';
import { Failed, Trouble, icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Answer, Build, Image, Images as AllImages, Model, PersonVolumes, Problem, Volumes as AllVolumes } from '../types.js' */
/** @import { TextKey } from '../words.js' */

/** @typedef {{ model: Model, actions: Actions, again: number, builds: readonly Build[] }} Props */

/** So many lines, until somebody asks for all. */
const MOST = 8;
/** What an engine with many images answers slowly is waited for. */
const PATIENCE_MS = 60_000;

/**
 * What is known of a list, and what is done to it.
 * @template T
 * @typedef {{ value: T | null, problem: Problem | null, isAsking: boolean, isWhole: boolean, removing: string, refused: Problem | null }} Known
 */

/**
 * A list that is read once, and again whenever `again` changes.
 * @template T
 * @extends {Component<Props, Known<T>>}
 */
class Listed extends Component {
  #path;

  /** @param {Props} props @param {string} path below the API's */
  constructor(props, path) {
    super(props);
    this.#path = path;
    /** @type {Known<T>} */
    const nothing = { value: null, problem: null, isAsking: false, isWhole: false, removing: '', refused: null };
    this.state = nothing;
  }

  componentDidMount() {
    void this.read();
  }

  /** @param {Props} before */
  componentDidUpdate(before) {
    if (before.again !== this.props.again) void this.read();
  }

  async read() {
    this.setState({ isAsking: true });
    /** @type {Answer<T>} */
    const answer = await this.props.actions.ask('GET', this.#path, undefined, PATIENCE_MS);
    this.setState(answer.ok ? { value: answer.value, problem: null, isAsking: false } : { problem: answer.problem, isAsking: false });
  }

  /** Each list draws itself. @returns {import('../../vendor/preact/preact.mjs').Child} */
  render() {
    return null;
  }
}

/** @extends {Listed<AllImages>} */
export class Images extends Listed {
  /** @param {Props} props */
  constructor(props) {
    super(props, 'machine/images');
  }

  /** One after the other: the engine does no more at once either. @param {readonly Image[]} images */
  async #remove(images) {
    let freed = 0;
    this.setState({ refused: null });
    for (const image of images) {
      this.setState({ removing: image.id });
      const answer = await this.props.actions.ask('DELETE', `machine/images/${encodeURIComponent(image.id)}`, undefined, PATIENCE_MS);
      if (!answer.ok && answer.problem.trouble !== 'missing') {
        await this.read();
        this.setState({ removing: '', refused: answer.problem });
        return;
      }
      freed += image.size_bytes;
    }
    await this.read();
    this.setState({ removing: '' });
    this.props.actions.say(t(images.length === 1 ? 'stock.removed-one' : 'stock.removed', { count: images.length, amount: amount(freed) }));
    document.getElementById('p-images')?.focus();
  }

  render() {
    const { value, problem, isAsking, removing, refused } = this.state;
    const free = value?.images.filter(({ kept }) => kept === null) ?? [];
    return html`<section class="panel rows stock" aria-labelledby="p-images" aria-busy=${String(isAsking)}>
      <div class="panel-head">
        <h2 id="p-images" tabindex=${-1}>${t('stock.images')}</h2>
        ${free.length > 0 && html`<button type="button" class="button small" disabled=${removing !== ''} onClick=${() => void this.#remove(free)}>
          ${icon('bin')}${t(removing === '' ? 'stock.remove-all' : 'stock.removing', { count: free.length, amount: amount(value?.removable_bytes ?? 0) })}
        </button>`}
      </div>
      <${Builds} builds=${this.props.builds} />
      ${problem ? html`<${Failed} title=${t('stock.images-unread')} problem=${problem} onRetry=${() => void this.read()} />`
        : value ? this.#whole(value) : html`<p class="soft row-ghost">${t('stock.images-reading')}</p>`}
      <${Trouble} problem=${refused} />
    </section>`;
  }

  /** @param {AllImages} all */
  #whole({ images, total_bytes: total, obstacle }) {
    if (images.length === 0) return html`<p class="soft">${obstacle ? sentence(obstacle) : t('stock.images-none')}</p>`;
    const { isWhole, removing } = this.state;
    const shown = isWhole ? images : images.slice(0, MOST);
    return [
      html`<p key="total" class="soft">${t('stock.images-total', { count: images.length, amount: amount(total) })}</p>`,
      html`<ul key="list">${shown.map((image) => this.#row(image, removing))}</ul>`,
      more(images.length, isWhole, () => this.setState({ isWhole: true })),
    ];
  }

  /** @param {Image} image @param {string} removing */
  #row(image, removing) {
    const { id, names, kind, other_release: release, size_bytes: size, made_at: made, kept } = image;
    const name = names[0] ?? shortDigest(id);
    const others = names.length > 1 ? t('stock.and-more', { count: names.length - 1 }) : '';
    return html`<li key=${id} data-kind=${kind}>
      <span class="row-main">
        <span class="stock-name">
          <b title=${names.join('\n')}>${name}</b>${others && html`<span class="soft">${others}</span>`}
          ${kind !== 'shipped' && html`<span class=${kind === 'stale' ? 'tag stop' : 'tag accent'}>${t(KINDS[kind])}</span>`}
          ${release !== null && html`<span class="tag">${t('stock.release', { release })}</span>`}
        </span>
        <span class="soft"><code class="mono" title=${id}>${shortDigest(id)}</code>${` · ${since(made, this.props.model.now)} · ${users(image)}`}</span>
      </span>
      <span class="numbers"><b>${amount(size)}</b></span>
      ${kept === null && html`<button
        type="button" class="button small danger" disabled=${removing !== ''} aria-label=${t('stock.remove-name', { name, digest: shortDigest(id) })} onClick=${() => void this.#remove([image])}
      >${t(removing === id ? 'stock.removing' : 'stock.remove')}</button>`}
    </li>`;
  }
}

/** @type {Readonly<Record<Image['kind'], TextKey>>} */
const KINDS = { shipped: 'stock.shipped', catalogue: 'stock.catalogue', template: 'stock.template', stale: 'stock.stale' };

/** By what an image is used, in words. @param {Image} image */
function users({ desktops, core, templates, installed, kept }) {
  const words = [
    core && t('stock.core'),
    !core && desktops > 0 && t(desktops === 1 ? 'stock.desktops-one' : 'stock.desktops', { count: desktops }),
    !core && templates.length > 0 && t('stock.of-templates', { names: templates.join(', ') }),
    installed.length > 0 && t('stock.installed', { names: installed.join(', ') }),
  ].filter(Boolean);
  return words.length > 0 ? words.join(' · ') : kept ?? t('stock.unused');
}

/** @extends {Listed<AllVolumes>} */
export class Volumes extends Listed {
  /** @param {Props} props */
  constructor(props) {
    super(props, 'machine/volumes');
  }

  render() {
    const { value, problem, isAsking } = this.state;
    const near = value?.people.filter((person) => person.near).length ?? 0;
    return html`<section class="panel rows stock" aria-labelledby="p-volumes" aria-busy=${String(isAsking)}>
      <div class="panel-head">
        <h2 id="p-volumes">${t('stock.volumes')}</h2>
        ${near > 0 && html`<span class="warn">${t(near === 1 ? 'stock.near-one' : 'stock.near', { count: near })}</span>`}
      </div>
      ${problem ? html`<${Failed} title=${t('stock.volumes-unread')} problem=${problem} onRetry=${() => void this.read()} />`
        : value ? this.#whole(value) : html`<p class="soft row-ghost">${t('stock.volumes-reading')}</p>`}
    </section>`;
  }

  /** @param {AllVolumes} all */
  #whole({ people, keeper, enforced, obstacle }) {
    const { isWhole } = this.state;
    const shown = isWhole ? people : people.slice(0, MOST);
    return [
      html`<p key="keeper" class="soft">${t(kept(people, enforced), { keeper })}</p>`,
      obstacle && html`<p key="obstacle" class="hint warn">${sentence(obstacle)}</p>`,
      people.length === 0 ? html`<p key="none" class="soft">${t('stock.volumes-none')}</p>`
        : html`<ul key="list">${shown.map(volume)}</ul>`,
      more(people.length, isWhole, () => this.setState({ isWhole: true })),
    ];
  }
}

/** What is said of quotas, which is known from the first who was measured on. @param {readonly PersonVolumes[]} people @param {boolean} isEnforced @returns {TextKey} */
function kept(people, isEnforced) {
  if (isEnforced) return 'stock.kept-enforced';
  if (people.length === 0) return 'stock.kept-in';
  return people.some(isLimited) ? 'stock.kept' : 'stock.kept-free';
}

/** Whether anything bounds what somebody keeps. @param {PersonVolumes} person */
const isLimited = ({ storage: { data, home, apps } }) => [data, home, apps].some(({ limit_bytes: limit }) => limit !== null);

/** One person's. @param {PersonVolumes} person */
function volume({ id, owner, storage, used_bytes: used, near }) {
  const { data, home, apps } = storage;
  const name = owner ? called(owner) : t('stock.nobody', { id });
  const part = data.limit_bytes ? Math.min(data.used_bytes / data.limit_bytes, 1) : null;
  const text = data.limit_bytes === null ? t('stock.data', { used: amount(data.used_bytes) }) : t('machine.of-data', { used: amount(data.used_bytes), limit: amount(data.limit_bytes) });
  const isFull = data.full || home.full || apps.full;
  return html`<li key=${id} data-near=${String(near)}>
    <span class="row-main">
      <b class="clip">${name}</b>
      <span class="soft">${`${text} · ${t('stock.rest', { home: amount(home.used_bytes), apps: amount(apps.used_bytes) })}`}</span>
      ${part !== null && html`<div
        class="meter-bar" role="meter" aria-label=${t('stock.data-of', { name })} aria-valuemin=${0} aria-valuemax=${100} aria-valuenow=${Math.round(part * 100)} aria-valuetext=${text} data-full=${String(data.full)}
      ><div style=${{ inlineSize: `${part * 100}%` }} /></div>`}
    </span>
    <span class="numbers">
      <b>${amount(used)}</b>
      ${(isFull || near) && html`<span class="warn">${t(isFull ? 'machine.full' : 'stock.is-near')}</span>`}
    </span>
  </li>`;
}

/** @param {number} count @param {boolean} isWhole @param {() => void} show */
const more = (count, isWhole, show) => !isWhole && count > MOST && html`<button key="more" type="button" class="button small" onClick=${show}>${t('stock.all', { count })}</button>`;

/** @param {string} text */
const sentence = (text) => `${text.charAt(0).toLocaleUpperCase()}${text.slice(1)}.`;
