/** What a desktop shows, small and as it changes: only while its card is looked at. */

import { Component, h } from '../../vendor/preact/preact.mjs';
import { stillSize } from '../still.js';

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
  /** The number of the newest picture when one was last asked for; undefined before. @type {number | null | undefined} */
  #asked = undefined;
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
      this.#asked = undefined;
      if (this.state.isShown) this.setState({ isShown: false });
    }
    this.#look();
  }

  componentWillUnmount() {
    this.#observer?.disconnect();
    document.removeEventListener('visibilitychange', this.#look);
    this.#canvas = null;
  }

  /** Whether there is a picture that was not asked for. */
  #isNews() {
    const { session: { state, picture = null } } = this.props;
    return mayShow(state) && picture !== this.#asked && (picture !== null || this.#asked === undefined);
  }

  /** One at a time; the next where something changed meanwhile. */
  async #read() {
    while (this.#canvas && this.#isSeen && !document.hidden && !this.#isAsking && this.#isNews()) {
      const { session: { id, picture = null }, actions } = this.props;
      this.#asked = picture;
      this.#isAsking = true;
      const bytes = await actions.picture(id);
      const isDrawn = bytes !== null && await this.#draw(bytes);
      this.#isAsking = false;
      if (isDrawn && !this.state.isShown && mayShow(this.props.session.state)) this.setState({ isShown: true });
    }
  }

  /** Whether it is a picture, and drawn. @param {Uint8Array<ArrayBuffer>} bytes */
  async #draw(bytes) {
    const size = stillSize(bytes);
    if (!size) return false;
    try {
      const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
      const canvas = this.#canvas;
      if (canvas) {
        Object.assign(canvas, size);
        canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
      }
      bitmap.close();
      return canvas !== null;
    } catch {
      return false;
    }
  }

  render() {
    return h('canvas', {
      class: 'still', width: 16, height: 9, 'data-shown': String(this.state.isShown),
      ref: (/** @type {HTMLCanvasElement | null} */ canvas) => { if (canvas) this.#canvas = canvas; },
    });
  }
}
