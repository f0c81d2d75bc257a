/** What a desktop shows, small and as it changes: only while its card is looked at. */

import { Component } from '../../vendor/preact/preact.mjs';
import { html } from '../html.js';
import { isBlank, stillSize } from '../still.js';

/** @import { Actions } from '../main.js' */
/** @import { Session } from '../types.js' */

/** @param {Session['state']} state */
const mayShow = (state) => state === 'running' || state === 'idle';

/**
 * @typedef {{ session: Session, actions: Actions }} StillProps
 * @extends {Component<StillProps, { isShown: boolean }>}
 */
export class Still extends Component {
  /** @type {HTMLCanvasElement | null} */
  #canvas = null;
  /** @type {IntersectionObserver | null} */
  #observer = null;
  #isSeen = false;
  #isAsking = false;
  /** The number of the newest picture when one was last asked for; undefined where one is to be. @type {number | null | undefined} */
  #told = undefined;
  /** The number of the picture that came of it. @type {number | null} */
  #has = null;
  #look = () => void this.#read();

  /** @param {StillProps} props */
  constructor(props) {
    super(props);
    this.state = { isShown: false };
  }

  componentDidMount() {
    const canvas = this.#canvas;
    if (!canvas) return;
    this.#observer = new IntersectionObserver((entries) => {
      this.#isSeen = entries.at(-1)?.isIntersecting ?? false;
      this.#look();
    });
    this.#observer.observe(canvas);
    document.addEventListener('visibilitychange', this.#look);
  }

  componentDidUpdate() {
    const { session: { state } } = this.props;
    if (!mayShow(state)) {
      this.#told = undefined;
      if (this.state.isShown) this.setState({ isShown: false });
    }
    this.#look();
  }

  componentWillUnmount() {
    this.#observer?.disconnect();
    document.removeEventListener('visibilitychange', this.#look);
    this.#canvas = null;
  }

  /** Whether there is a picture that is not had. A server that was started anew has forgotten it. */
  #isNews() {
    const { session: { state, picture = null } } = this.props;
    if (picture !== null && picture === this.#has) this.#told = picture;
    return mayShow(state) && picture !== this.#told;
  }

  /** One at a time; the next where something changed meanwhile. */
  async #read() {
    while (this.#canvas && this.#isSeen && !document.hidden && !this.#isAsking && this.#isNews()) {
      const { session: { id, picture = null }, actions } = this.props;
      this.#told = picture;
      this.#isAsking = true;
      const answer = await actions.picture(id);
      const isDrawn = answer !== null && answer.bytes !== null && await this.#draw(answer.bytes);
      this.#isAsking = false;
      // Nothing answered: the next time that the card is drawn is early enough.
      if (answer === null) {
        this.#told = undefined;
        return;
      }
      this.#has = answer.number;
      if (isDrawn && !this.state.isShown && mayShow(this.props.session.state)) this.setState({ isShown: true });
    }
  }

  /**
   * Whether it is a picture, and drawn. Of a desktop that has just come up nothing is shown before there is
   * something to see.
   * @param {Uint8Array<ArrayBuffer>} bytes
   */
  async #draw(bytes) {
    const size = stillSize(bytes);
    if (!size) return false;
    try {
      const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
      const canvas = this.#canvas;
      if (canvas) {
        Object.assign(canvas, size);
        const context = canvas.getContext('2d');
        context?.drawImage(bitmap, 0, 0);
        bitmap.close();
        return this.state.isShown || !context || !isBlank(context.getImageData(0, 0, size.width, size.height).data);
      }
      bitmap.close();
      return false;
    } catch {
      return false;
    }
  }

  render() {
    return html`<canvas
      class="still" width=${16} height=${9} data-shown=${String(this.state.isShown)}
      ref=${(/** @type {HTMLCanvasElement | null} */ canvas) => { if (canvas) this.#canvas = canvas; }}
    />`;
  }
}
