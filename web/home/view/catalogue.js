/** Apps that can be installed: what there is, what each may do, and what is on its way. */

import { Component, h } from '../../vendor/preact/preact.mjs';
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
    return h('main', { class: 'content catalogue', id: 'content' },
      h('div', { class: 'section-head' },
        h('h1', null, t('apps.title')),
        known && known.apps.length > 0 && h('span', { class: 'soft' }, t('apps.hint'))),
      known ? h(Shelf, { ...this.props, known })
        : problem ? h(Failed, { title: t('apps.unread'), problem, onRetry: () => void actions.readCatalogue() })
          : h('ul', { class: 'cards', 'aria-busy': 'true', 'aria-label': t('apps.reading') }, ...[1, 2, 3].map((key) => h('li', { key, class: 'panel ghost app' }))));
  }
}

/** @param {Props & { known: Catalogues }} props */
function Shelf(props) {
  const { known, model } = props;
  const refused = known.catalogues.filter((one) => one.refused !== null);
  return [
    known.obstacle && h('p', { key: 'obstacle', class: 'notice', role: 'note' }, icon('alert'), h('span', null, t('apps.obstacle'), ' ', known.obstacle, '.')),
    refused.length > 0 && h('div', { key: 'refused', class: 'refusals' }, ...refused.map(refusal)),
    known.apps.length === 0 ? refused.length === 0 && h(Empty, { key: 'empty', isAdmin: model.me?.role === 'admin' })
      : h('ul', { key: 'cards', class: 'cards' }, ...known.apps.map((app) => h(Card, { ...props, app, key: `${app.catalogue} ${app.app}` }))),
  ];
}

/** Somebody has changed what the administrator's key signed. @param {Catalogue} catalogue */
const refusal = ({ name, refused }) => h('section', { key: name, class: 'panel refusal', role: 'alert', 'aria-label': t('apps.refused', { name }) },
  icon('alert'),
  h('div', null,
    h('h2', null, t('apps.refused', { name })),
    h('p', null, refused),
    h('p', { class: 'soft' }, t('apps.refused-hint'))));

/** @param {{ isAdmin: boolean }} props */
const Empty = ({ isAdmin }) => h('div', { class: 'empty' },
  h('span', { class: 'glyph' }, icon('grid')),
  h('h2', null, t(isAdmin ? 'apps.none' : 'apps.none-yet')),
  h('p', null, t(isAdmin ? 'apps.none-hint' : 'apps.none-yet-hint')),
  isAdmin && h('ol', { class: 'how' },
    ...['keygen', 'sign', 'add'].map((step) => h('li', { key: step },
      h('span', null, t(/** @type {import('../words.js').TextKey} */ (`apps.how-${step}`))),
      h('code', { class: 'mono' }, COMMANDS[/** @type {keyof typeof COMMANDS} */ (step)])))));

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
  return h('li', { class: 'panel app', 'aria-labelledby': id, 'data-app': app.app },
    h('div', { class: 'app-head' },
      h('span', { class: 'app-icon', 'aria-hidden': 'true' }, initials(title)),
      h('div', { class: 'row-main' },
        h('h2', { id, class: 'clip' }, title),
        h('span', { class: 'soft clip' }, offer ? t('apps.version', { version, license: offer.license }) : t('apps.version-only', { version })))),
    summary && h('p', null, summary),
    description && h('details', null, h('summary', null, t('apps.about')), h('p', { class: 'soft told' }, description)),
    h(Powers, { powers, title: t('apps.can') }),
    offer ? h(Facts, { offer, catalogue: known.catalogues.find(({ name }) => name === app.catalogue) })
      : h('p', { class: 'soft' }, t('apps.left', { catalogue: app.catalogue })),
    app.shadowed_by.length > 0 && h('p', { class: 'hint' }, t('apps.shadowed', { kinds: app.shadowed_by.join(', ') })),
    h('div', { class: 'app-foot' },
      ...pulls.map((pull) => h(Way, { ...props, pull, key: pull.for })),
      everybody && h(Has, { ...props, installed: everybody, audience: 'all', pulls }),
      mine && h(Has, { ...props, installed: mine, audience: 'me', pulls }),
      h(Install, { ...props, pulls })));
}

/** What an app may do, in words. @param {{ powers: readonly Power[], title: string, isNew?: boolean }} props */
export const Powers = ({ powers, title, isNew = false }) => h('div', { class: 'powers' },
  h('h3', null, title),
  powers.length === 0 ? h('p', { class: 'soft' }, icon('state-good'), h('span', null, t('power.none')))
    : h('ul', null, ...powers.map((power) => h('li', { key: power.what, 'data-risky': String(power.risky) },
      icon(power.risky ? 'alert' : 'check'),
      h('span', null, isNew && h('b', null, t('apps.new'), ' '), powerWords(power),
        power.risky && h('span', { class: 'away' }, ` (${t('power.risky')})`))))));

/** @param {{ offer: Offer, catalogue: Catalogue | undefined }} props */
const Facts = ({ offer, catalogue }) => h('dl', { class: 'facts' },
  fact('apps.size', amount(offer.size_bytes)),
  fact('apps.memory', amount(offer.memory_bytes)),
  h('div', { key: 'digest' }, h('dt', null, t('apps.digest')), h('dd', null, h(Digest, { digest: offer.digest }))),
  fact('apps.source', offer.source),
  catalogue && fact('apps.signed', t('apps.signed-by', { title: catalogue.title ?? catalogue.name, name: catalogue.signed_by ?? '' })));

/** @param {import('../words.js').TextKey} name @param {string} value */
const fact = (name, value) => h('div', { key: name }, h('dt', null, t(name)), h('dd', null, value));

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
    return h('span', { class: 'digest' },
      h('code', { class: 'mono', title: digest }, shortDigest(digest)),
      h(IconButton, { label: t(isCopied ? 'apps.digest-copied' : 'apps.digest-copy'), icon: isCopied ? 'check' : 'copy', onClick: () => void this.#copy() }));
  }
}

/** An app on its way, or what it came to. @param {OfApp & { pull: Pull }} props */
function Way({ pull, app }) {
  const { done_bytes: done, total_bytes: total, error } = pull;
  if (error !== null) return h('div', { class: 'trouble', role: 'alert' }, icon('alert'), h('span', null, t('apps.failed', { name: app.title }), ' ', error));
  const isHere = total > 0 && done >= total;
  const words = isHere ? t('apps.unpacking') : t('apps.fetching', { done: amount(done), total: amount(total) });
  return h('div', { class: 'progress' },
    h('progress', { 'aria-label': t('apps.progress', { name: app.title }), ...(!isHere && total > 0 && { max: total, value: done }) }),
    h('p', { class: 'hint' }, words));
}

/** @param {readonly Pull[]} pulls @param {Audience} audience */
const isComing = (pulls, audience) => pulls.some((pull) => pull.for === audience && pull.error === null);

/** One that is installed, and what can be done about it. @param {OfApp & { installed: Installed, audience: Audience, pulls: readonly Pull[] }} props */
function Has({ app, installed, audience, pulls, known, model, actions }) {
  const may = audience === 'all' ? known.may_install_for_all : known.may_install;
  const { version, update, previous, by, at } = installed;
  const busy = isComing(pulls, audience);
  return h('div', { class: 'app-has' },
    h('p', null, icon('state-good'), h('span', null,
      h('b', null, t(audience === 'all' ? 'apps.has-all' : 'apps.has-mine', { version })),
      h('span', { class: 'soft' }, t('apps.has-by', { by, since: since(at, model.now) })))),
    h('div', { class: 'app-actions' },
      may && update && app.offer && h('button', { type: 'button', class: 'button primary small', disabled: busy, onClick: () => actions.openApp(app, 'update', audience) }, icon('update'), t('apps.update', { version: app.offer.version })),
      may && previous && h('button', { type: 'button', class: 'button small', disabled: busy, onClick: () => actions.openApp(app, 'rollback', audience) }, icon('undo'), t('apps.rollback', { version: previous.version })),
      (may || audience === 'me') && h('button', { type: 'button', class: 'button small', disabled: busy, onClick: () => actions.openApp(app, 'remove', audience) }, icon('bin'), t('apps.remove'))));
}

/** @param {OfApp & { pulls: readonly Pull[] }} props */
function Install({ app, pulls, known, actions }) {
  if (!app.offer || known.obstacle) return null;
  const forMe = known.may_install && !app.mine && !app.everybody;
  const forAll = known.may_install_for_all && !app.everybody;
  if (!forMe && !forAll) return app.mine || app.everybody || known.may_install ? null : h('p', { class: 'soft' }, t('apps.ask'));
  const install = (/** @type {Audience} */ audience, /** @type {import('../words.js').TextKey} */ word, /** @type {string} */ kind) => (
    h('button', { type: 'button', class: `button small ${kind}`, disabled: isComing(pulls, audience), onClick: () => actions.openApp(app, 'install', audience) }, t(word)));
  return h('div', { class: 'app-actions' },
    forMe && install('me', 'apps.install-me', forAll ? '' : 'primary'),
    forAll && install('all', 'apps.install-all', app.mine ? '' : 'primary'));
}
