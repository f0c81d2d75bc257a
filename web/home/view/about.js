/** What whoever made a desktop's template wrote about it: the server's, or that of the desktop's own newest version. */

import { Component } from '../../vendor/preact/preact.mjs';
import { html } from '../html.js';
import { path as joined } from '../api.js';
import { t } from '../words.js';
import { Readme } from './readme.js';

/** @import { Actions } from '../main.js' */
/** @import { Answer, Model, Session, Template } from '../types.js' */
/** @import { TemplateView } from '../kept.js' */

/**
 * @typedef {{ session: Session, model: Model, kind: Template | undefined, actions: Actions }} Props
 * @extends {Component<Props>}
 */
export class About extends Component {
  /** The text that was last asked for. */
  #asked = '';

  componentDidMount() {
    void this.#read();
  }

  /** Somebody applied another version, or the server's templates came. */
  componentDidUpdate() {
    void this.#read();
  }

  /** By what it is kept once it is read. */
  get #id() {
    const { session, kind } = this.props;
    return isOwn(session) ? `${session.id} ${session.template_version}` : `${session.template} ${kind?.readme?.length ?? 0}`;
  }

  async #read() {
    const { session, model, kind, actions } = this.props;
    const id = this.#id;
    if (this.#asked === id || model.readmes[id]) return;
    this.#asked = id;
    if (!isOwn(session)) return kind && actions.readReadme({ id, readme: kind.readme });
    /** @type {Answer<TemplateView>} */
    const answer = await actions.ask('GET', joined('sessions', session.id, 'template'));
    // A version that came meanwhile has another id, and is asked for by it.
    if (answer.ok && answer.value.version === session.template_version) void actions.readReadme({ id, readme: answer.value.readme });
    return undefined;
  }

  render() {
    const tokens = this.props.model.readmes[this.#id];
    return tokens ? html`<section class="panel rows" aria-labelledby="p-readme">
      <h2 id="p-readme">${t('project.readme')}</h2><${Readme} tokens=${tokens} />
    </section>` : null;
  }
}

/** @param {Session} session */
const isOwn = ({ template_version: version = 0 }) => version > 0;
