/** Apps that can be installed: what there is, what each may do, and what is on its way. */

import { Component } from '../../vendor/preact/preact.mjs';
import { html } from '../html.js';
import { amount, initials, powerWords, shortDigest, since, t } from '../words.js';
import { Failed, IconButton, icon } from './parts.js';

/** @import { Actions } from '../main.js' */
/** @import { Audience, Catalogue, CatalogueApp, Catalogues, Installed, Offer, Power, Pull } from '../apps.js' */
/** @import { Model } from '../types.js' */

/** @typedef {{ model: Model, actions: Actions }} Props */
/** @typedef {Props & { app: CatalogueApp, known: Catalogues }} OfApp */

/** @extends {Component<Props>} */
export class Apps extends Component {
  componentDidMount() {
    void this.props.actions.readCatalogue();
  }

  render() {
    const { model, actions } = this.props;
    const { known, problem } = model.shop;
    return html`<main class="content catalogue" id="content">
      <div class="section-head">
        <h1>${t('apps.title')}</h1>
        ${known && known.apps.length > 0 && html`<span class="soft">${t('apps.hint')}</span>`}
      </div>
      ${known ? html`<${Shelf} ...${this.props} known=${known} />`
        : problem ? html`<${Failed} title=${t('apps.unread')} problem=${problem} onRetry=${() => void actions.readCatalogue()} />`
          : html`<ul class="cards" aria-busy="true" aria-label=${t('apps.reading')}>${[1, 2, 3].map((key) => html`<li key=${key} class="panel ghost app" />`)}</ul>`}
    </main>`;
  }
}

/** @param {Props & { known: Catalogues }} props */
function Shelf(props) {
  const { known, model } = props;
  const refused = known.catalogues.filter((one) => one.refused !== null);
  return [
    known.obstacle && html`<p key="obstacle" class="notice" role="note">${icon('alert')}<span>${t('apps.obstacle')}${' '}${known.obstacle}.</span></p>`,
    refused.length > 0 && html`<div key="refused" class="refusals">${refused.map(refusal)}</div>`,
    known.apps.length === 0 ? refused.length === 0 && html`<${Empty} key="empty" isAdmin=${model.me?.role === 'admin'} />`
      : html`<ul key="cards" class="cards">${known.apps.map((app) => html`<${Card} ...${props} app=${app} key="${app.catalogue} ${app.app}" />`)}</ul>`,
  ];
}

/** Somebody has changed what the administrator's key signed. @param {Catalogue} catalogue */
const refusal = ({ name, refused }) => html`<section key=${name} class="panel refusal" role="alert" aria-label=${t('apps.refused', { name })}>
  ${icon('alert')}
  <div>
    <h2>${t('apps.refused', { name })}</h2>
    <p>${refused}</p>
    <p class="soft">${t('apps.refused-hint')}</p>
  </div>
</section>`;

/** @param {{ isAdmin: boolean }} props */
const Empty = ({ isAdmin }) => html`<div class="empty">
  <span class="glyph">${icon('grid')}</span>
  <h2>${t(isAdmin ? 'apps.none' : 'apps.none-yet')}</h2>
  <p>${t(isAdmin ? 'apps.none-hint' : 'apps.none-yet-hint')}</p>
  ${isAdmin && html`<ol class="how">
    ${['keygen', 'sign', 'add'].map((step) => html`<li key=${step}>
      <span>${t(/** @type {import('../words.js').TextKey} */ (`apps.how-${step}`))}</span>
      <code class="mono">${COMMANDS[/** @type {keyof typeof COMMANDS} */ (step)]}</code>
    </li>`)}
  </ol>`}
</div>`;

const COMMANDS = Object.freeze({
  keygen: 'lattice catalogue keygen school.key',
  sign: 'lattice catalogue sign --key school.key school.yaml',
  add: 'lattice catalogue add school.yaml',
});

/** @param {OfApp} props */
function Card(props) {
  const { app, known } = props;
  const { offer, title, summary, description, mine, everybody } = app;
  const version = offer?.version ?? mine?.version ?? everybody?.version ?? '';
  const powers = offer?.powers ?? mine?.powers ?? everybody?.powers ?? [];
  const pulls = props.model.pulls.filter((pull) => pull.app === app.app && pull.catalogue === app.catalogue);
  const id = `a-${app.catalogue}-${app.app}`;
  return html`<li class="panel app" aria-labelledby=${id} data-app=${app.app}>
    <div class="app-head">
      <span class="app-icon" aria-hidden="true">${initials(title)}</span>
      <div class="row-main">
        <h2 id=${id} class="clip">${title}</h2>
        <span class="soft clip">${offer ? t('apps.version', { version, license: offer.license }) : t('apps.version-only', { version })}</span>
      </div>
    </div>
    ${summary && html`<p>${summary}</p>`}
    ${description && html`<details><summary>${t('apps.about')}</summary><p class="soft told">${description}</p></details>`}
    <${Powers} powers=${powers} title=${t('apps.can')} />
    ${offer ? html`<${Facts} offer=${offer} catalogue=${known.catalogues.find(({ name }) => name === app.catalogue)} />`
      : html`<p class="soft">${t('apps.left', { catalogue: app.catalogue })}</p>`}
    ${app.shadowed_by.length > 0 && html`<p class="hint">${t('apps.shadowed', { kinds: app.shadowed_by.join(', ') })}</p>`}
    <div class="app-foot">
      ${pulls.map((pull) => html`<${Way} ...${props} pull=${pull} key=${pull.for} />`)}
      ${everybody && html`<${Has} ...${props} installed=${everybody} audience="all" pulls=${pulls} />`}
      ${mine && html`<${Has} ...${props} installed=${mine} audience="me" pulls=${pulls} />`}
      <${Install} ...${props} pulls=${pulls} />
    </div>
  </li>`;
}

/** What an app may do, in words. @param {{ powers: readonly Power[], title: string, isNew?: boolean }} props */
export const Powers = ({ powers, title, isNew = false }) => html`<div class="powers">
  <h3>${title}</h3>
  ${powers.length === 0 ? html`<p class="soft">${icon('state-good')}<span>${t('power.none')}</span></p>`
    : html`<ul>${powers.map((power) => html`<li key=${power.what} data-risky=${String(power.risky)}>
      ${icon(power.risky ? 'alert' : 'check')}
      <span>${isNew && html`<b>${t('apps.new')}${' '}</b>`}${powerWords(power)}
        ${power.risky && html`<span class="away">${` (${t('power.risky')})`}</span>`}
      </span>
    </li>`)}</ul>`}
</div>`;

/** @param {{ offer: Offer, catalogue: Catalogue | undefined }} props */
const Facts = ({ offer, catalogue }) => html`<dl class="facts">
  ${fact('apps.size', amount(offer.size_bytes))}
  ${fact('apps.memory', amount(offer.memory_bytes))}
  <div key="digest"><dt>${t('apps.digest')}</dt><dd><${Digest} digest=${offer.digest} /></dd></div>
  ${fact('apps.source', offer.source)}
  ${catalogue && fact('apps.signed', t('apps.signed-by', { title: catalogue.title ?? catalogue.name, name: catalogue.signed_by ?? '' }))}
</dl>`;

/** @param {import('../words.js').TextKey} name @param {string} value */
const fact = (name, value) => html`<div key=${name}><dt>${t(name)}</dt><dd>${value}</dd></div>`;

/**
 * The first of its letters; all of them go to the clipboard.
 * @extends {Component<{ digest: string }, { isCopied: boolean }>}
 */
class Digest extends Component {
  /** @param {{ digest: string }} props */
  constructor(props) {
    super(props);
    this.state = { isCopied: false };
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.props.digest);
      this.setState({ isCopied: true });
    } catch {
      // It can be read, and selected, where it stands.
      this.setState({ isCopied: false });
    }
  }

  render() {
    const { digest } = this.props;
    const { isCopied } = this.state;
    return html`<span class="digest">
      <code class="mono" title=${digest}>${shortDigest(digest)}</code>
      <${IconButton} label=${t(isCopied ? 'apps.digest-copied' : 'apps.digest-copy')} icon=${isCopied ? 'check' : 'copy'} onClick=${() => void this.#copy()} />
    </span>`;
  }
}

/** An app on its way, or what it came to. @param {OfApp & { pull: Pull }} props */
function Way({ pull, app }) {
  const { done_bytes: done, total_bytes: total, error } = pull;
  if (error !== null) return html`<div class="trouble" role="alert">${icon('alert')}<span>${t('apps.failed', { name: app.title })}${' '}${error}</span></div>`;
  const isHere = total > 0 && done >= total;
  const words = isHere ? t('apps.unpacking') : t('apps.fetching', { done: amount(done), total: amount(total) });
  return html`<div class="progress">
    <progress aria-label=${t('apps.progress', { name: app.title })} ...${!isHere && total > 0 && { max: total, value: done }} />
    <p class="hint">${words}</p>
  </div>`;
}

/** @param {readonly Pull[]} pulls @param {Audience} audience */
const isComing = (pulls, audience) => pulls.some((pull) => pull.for === audience && pull.error === null);

/** One that is installed, and what can be done about it. @param {OfApp & { installed: Installed, audience: Audience, pulls: readonly Pull[] }} props */
function Has({ app, installed, audience, pulls, known, model, actions }) {
  const may = audience === 'all' ? known.may_install_for_all : known.may_install;
  const { version, update, previous, by, at } = installed;
  const busy = isComing(pulls, audience);
  return html`<div class="app-has">
    <p>${icon('state-good')}<span>
      <b>${t(audience === 'all' ? 'apps.has-all' : 'apps.has-mine', { version })}</b>
      <span class="soft">${t('apps.has-by', { by, since: since(at, model.now) })}</span>
    </span></p>
    <div class="app-actions">
      ${may && update && app.offer && html`<button type="button" class="button primary small" disabled=${busy} onClick=${() => actions.openApp(app, 'update', audience)}>${icon('update')}${t('apps.update', { version: app.offer.version })}</button>`}
      ${may && previous && html`<button type="button" class="button small" disabled=${busy} onClick=${() => actions.openApp(app, 'rollback', audience)}>${icon('undo')}${t('apps.rollback', { version: previous.version })}</button>`}
      ${(may || audience === 'me') && html`<button type="button" class="button small" disabled=${busy} onClick=${() => actions.openApp(app, 'remove', audience)}>${icon('bin')}${t('apps.remove')}</button>`}
    </div>
  </div>`;
}

/** @param {OfApp & { pulls: readonly Pull[] }} props */
function Install({ app, pulls, known, actions }) {
  if (!app.offer || known.obstacle) return null;
  const forMe = known.may_install && !app.mine && !app.everybody;
  const forAll = known.may_install_for_all && !app.everybody;
  if (!forMe && !forAll) return app.mine || app.everybody || known.may_install ? null : html`<p class="soft">${t('apps.ask')}</p>`;
  const install = (/** @type {Audience} */ audience, /** @type {import('../words.js').TextKey} */ word, /** @type {string} */ kind) => (
    html`<button type="button" class="button small ${kind}" disabled=${isComing(pulls, audience)} onClick=${() => actions.openApp(app, 'install', audience)}>${t(word)}</button>`);
  return html`<div class="app-actions">
    ${forMe && install('me', 'apps.install-me', forAll ? '' : 'primary')}
    ${forAll && install('all', 'apps.install-all', app.mine ? '' : 'primary')}
  </div>`;
}
