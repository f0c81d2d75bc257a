/**
 * The worker: owns socket, decoders and canvas, so that neither the page's layout nor its input
 * handlers ever wait for a picture. It says what happened; the page decides what it means.
 */

import { Asking } from '../client/asking.js';
import { Patience } from '../client/patience.js';
import { CAPABILITY, VERSION } from '../protocol/packets.js';
import { Figures } from './figures.js';
import { Painter } from './painter.js';
import { Proof } from './proof.js';
import { Screen } from './screen.js';
import { Socket } from './socket.js';
import { TileDecoder } from './tiles.js';
import { Video } from './video.js';

/** @import { ToWorker, FromWorker } from './messages.js' */
/** @import { Frame } from '../protocol/types.js' */

/** How often it looks around: while something moves, and while nothing does, where each look costs power. */
const TICK_MS = 250;
const REST_MS = 1000;
/** What was painted so recently moves; until then the rates in the statistics fall. */
const MOVED_MS = 2500;
const SLOW_FRAME_MS = 1000;
const QUIET_MS = 6000;
const OVERDUE_MS = 3000;
/** What a browser says of a connection that broke. */
const BROKEN = 1006;

const worker = /** @type {DedicatedWorkerGlobalScope & { lattice?: object }} */ (
  /** @type {unknown} */ (self));
const post = (/** @type {FromWorker} */ message) => worker.postMessage(message);
const clock = () => performance.timeOrigin + performance.now();

/** Everything that one canvas needs. */
class Viewer {
  #screen;
  #painter;
  #proof;
  #tiles = new TileDecoder();
  #video = new Video();
  #socket = new Socket({
    opened: () => this.#hello(),
    packet: (packet, bytes) => this.#handlePacket(packet, bytes),
    closed: (code, reason) => this.#closed(code, reason),
  });
  #viewport = { width: 1, height: 1 };
  #hasH264 = false;
  #viewerId = 0;
  /** Whether this page has been at the desktop before. */
  #wasHere = false;
  #seq = 0;
  #slow = false;
  #asking = new Asking();
  #isLost = false;
  #patience = new Patience();
  #timer = 0;
  #isResting = false;
  #paintedAt = -Infinity;
  #figures = new Figures();
  #reported = '';

  /** @param {OffscreenCanvas} canvas */
  constructor(canvas) {
    const screen = new Screen(canvas);
    this.#screen = screen;
    this.#proof = new Proof((band) => screen.hashBand(band), {
      changed: () => this.#report(),
      wrong: () => this.#refresh(),
    });
    this.#painter = new Painter(screen, this.#tiles, this.#video, {
      painted: (painted) => this.#painted(painted),
      dropped: (frame) => this.#acknowledge(frame, 0, 0),
      undecodable: () => this.#undecodable(),
    });
    // Tests plant wrong pixels through this, to see that they are found, and count decoders.
    worker.lattice = { context: screen.context, video: this.#video };
    post({ type: 'ready', imageDecoder: this.#tiles.isFast });
  }

  /** @param {Exclude<ToWorker, { type: 'init' }>} message */
  handle(message) {
    switch (message.type) {
      case 'connect': return this.#connect(message);
      case 'disconnect': return this.#disconnect();
      case 'input': return this.#input(message);
      case 'resize': return this.#socket.send({ type: 'resize', width: message.width, height: message.height });
      case 'takeControl': case 'releaseControl': case 'giveControl': case 'point':
        return this.#socket.send(message);
      case 'polled': return this.#proof.polled(this.#socket.isActive);
      case 'visible': return this.#proof.seen(message.isVisible, this.#socket.isActive);
    }
  }

  /** @param {Extract<ToWorker, { type: 'connect' }>} message */
  #connect({ url, width, height, h264 }) {
    this.#disconnect();
    this.#viewport = { width, height };
    // What has failed again and again on one connection would on the next.
    this.#hasH264 = h264 && !this.#video.isHopeless;
    this.#patience.begin();
    this.#socket.open(url);
    this.#lookIn(TICK_MS);
  }

  /** @param {number} delayMs */
  #lookIn(delayMs) {
    this.#isResting = delayMs === REST_MS;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), delayMs);
  }

  #disconnect() {
    this.#socket.close();
    this.#rest();
  }

  /** @param {number} code @param {string} reason */
  #closed(code, reason) {
    this.#rest();
    post({ type: 'closed', code, reason });
  }

  /** No timer runs and nothing is claimed while there is no connection. */
  #rest() {
    clearTimeout(this.#timer);
    this.#painter.reset();
    this.#video.close();
    this.#proof.stop();
    this.#figures.disconnected();
    this.#asking = new Asking();
    this.#slow = false;
    this.#isLost = false;
    this.#report();
  }

  #hello() {
    this.#seq = 0;
    const capabilities = (isSecureContext ? CAPABILITY.SECURE_CONTEXT : 0)
      | (this.#tiles.isFast ? CAPABILITY.IMAGE_DECODER : 0)
      | (this.#hasH264 ? CAPABILITY.H264 : 0)
      | (this.#wasHere ? CAPABILITY.RETURNING : 0);
    this.#socket.send({ type: 'hello', version: VERSION, capabilities, ...this.#viewport });
  }

  /** @param {Extract<ToWorker, { type: 'input' }>} message */
  #input({ input, at }) {
    if (!this.#socket.isOpen) return;
    this.#seq += 1;
    if ((input.type === 'key' && input.down) || input.type === 'text') this.#figures.keys.pressed(this.#seq, at);
    this.#socket.send({ ...input, seq: this.#seq });
  }

  /** @param {import('../protocol/types.js').ServerPacket} packet @param {number} bytes */
  #handlePacket(packet, bytes) {
    const now = performance.now();
    this.#figures.received(now, bytes);
    if (this.#isResting && packet.type !== 'ping') this.#lookIn(TICK_MS);
    switch (packet.type) {
      // What was on its way when the display went shows nothing that still is.
      case 'frame': return this.#isLost ? this.#acknowledge(packet, 0, 0) : this.#painter.push(packet, bytes, now);
      case 'digest':
        if (!this.#isLost && this.#proof.received(packet, this.#painter.queued === 0)) this.#report();
        return undefined;
      case 'ping':
        this.#socket.send({ type: 'pong', sentUs: packet.sentUs });
        return this.#figures.pinged(packet);
      case 'condition': return this.#figures.limited(packet);
      case 'welcome':
        this.#viewerId = packet.viewer;
        this.#wasHere = true;
        return post(packet);
      case 'displayState':
        this.#handleDisplay(packet.state, now);
        return post(packet);
      case 'control': case 'cursor': case 'people': case 'pointing': case 'standing': case 'offerPage': return post(packet);
    }
  }

  /** @param {'live' | 'lost' | 'ended'} state @param {number} now */
  #handleDisplay(state, now) {
    if (state === 'live') {
      if (this.#isLost) this.#asking.expect(now + OVERDUE_MS);
    } else {
      this.#asking.expectNone();
      this.#painter.reset();
      this.#proof.forget();
      this.#report();
    }
    this.#isLost = state !== 'live';
  }

  /** @param {import('./painter.js').Painted} painted */
  #painted(painted) {
    const { frame, dirty, arrived, queued } = painted;
    const { keys } = this.#figures;
    const now = performance.now();
    this.#acknowledge(frame, now - arrived, queued);
    this.#patience.painted();
    this.#figures.painted(painted, now);
    this.#paintedAt = now;
    const wasExact = this.#proof.exact;
    const { width, height } = this.#screen;
    const isCompared = this.#proof.painted({ ...frame, width, height }, dirty, queued === 0);
    if (frame.keyframe) {
      this.#asking.answered();
      post({ type: 'keyframe', ...frame.keyframe });
    }
    const answered = keys.count;
    if (frame.echoViewer === this.#viewerId) keys.painted(frame.echoSeq, clock());
    if (isCompared || wasExact || frame.keyframe || keys.count > answered) this.#report();
  }

  /**
   * Every frame is acknowledged, even one that could not be painted: the gateway waits for it.
   * @param {Frame} frame @param {number} spent milliseconds from its arrival @param {number} queued
   */
  #acknowledge({ epoch, id }, spent, queued) {
    const decodeUs = Math.round(spent * 1000);
    this.#socket.send({ type: 'ack', epoch, id, decodeUs, queued: Math.min(queued, 255) });
  }

  #undecodable() {
    this.#figures.counts.undecodable += 1;
    if (this.#hasH264 && this.#video.isHopeless) {
      // The gateway learns what a browser can do at the beginning of a connection only.
      this.#disconnect();
      post({ type: 'closed', code: BROKEN, reason: '' });
      return;
    }
    this.#asking.expect(performance.now());
    this.#refresh();
  }

  #refresh() {
    if (!this.#asking.ask(performance.now())) return;
    this.#figures.counts.refreshes += 1;
    this.#socket.send({ type: 'refresh' });
  }

  #tick() {
    const now = performance.now();
    const quiet = now - this.#socket.heardAt;
    if (this.#patience.isOver(quiet)) {
      this.#disconnect();
      return post({ type: 'silent' });
    }
    this.#video.sweep(now);
    const waitingSince = this.#painter.waitingSince;
    const slow = quiet > QUIET_MS || (waitingSince !== null && now - waitingSince > SLOW_FRAME_MS);
    if (slow !== this.#slow) post({ type: 'lagging', slow });
    this.#slow = slow;
    if (this.#asking.isOverdue(now)) this.#refresh();
    const moves = slow || waitingSince !== null || this.#asking.isExpecting || now - this.#paintedAt < MOVED_MS;
    // What a look finds may have ended the connection.
    if (this.#socket.isActive) this.#lookIn(moves ? TICK_MS : REST_MS);
    return this.#report();
  }

  /** Tells the page the figures, where they are not what it was told last. */
  #report() {
    /** @type {import('./messages.js').WorkerStats} */
    const stats = {
      ...this.#figures.at(performance.now()), exact: this.#proof.exact,
      mismatches: this.#proof.mismatches, queued: this.#painter.queued,
      videoUnits: this.#video.units, videoSkipped: this.#video.skipped,
      videoFailed: this.#video.isHopeless,
      desktopWidth: this.#screen.width, desktopHeight: this.#screen.height,
    };
    const told = JSON.stringify(stats);
    if (told === this.#reported) return;
    this.#reported = told;
    post({ type: 'stats', stats });
  }
}

/** @type {Viewer | null} */
let viewer = null;

worker.onmessage = (/** @type {MessageEvent<ToWorker>} */ { data }) => {
  if (data.type === 'init') viewer = new Viewer(data.canvas);
  else viewer?.handle(data);
};
