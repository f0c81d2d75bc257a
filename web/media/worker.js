/**
 * The worker: owns socket, decoders and canvas, so that neither the page's layout nor its input
 * handlers ever wait for a picture. It says what happened; the page decides what it means.
 */

import { Patience } from '../client/patience.js';
import { KeyLatency, Rate, Recent, percentile } from '../client/stats.js';
import { CAPABILITY, VERSION } from '../protocol/packets.js';
import { Painter } from './painter.js';
import { Screen } from './screen.js';
import { Socket } from './socket.js';
import { TileDecoder } from './tiles.js';
import { Verifier } from './verify.js';

/** @import { ToWorker, FromWorker } from './messages.js' */
/** @import { Frame, Rect } from '../protocol/types.js' */

const TICK_MS = 250;
/** A wrong pixel is found within `ROUND` of these, for two thirds of a percent of a processor at 1080p. */
const RECHECK_MS = 250;
/** A page that asked for statistics this recently gets the whole canvas proven again and again. */
const POLLED_FOR_MS = 1500;
const SLOW_FRAME_MS = 1000;
const QUIET_MS = 6000;
const REFRESH_EVERY_MS = 2000;
/** A picture may be long on its way; asking again in short steps would only lengthen the way. */
const REFRESH_LATEST_MS = 16000;
const OVERDUE_MS = 3000;
const NO_ROUND_TRIP = 0xffffffff;

const worker = /** @type {DedicatedWorkerGlobalScope & { lattice?: object }} */ (
  /** @type {unknown} */ (self));
const post = (/** @type {FromWorker} */ message) => worker.postMessage(message);
const clock = () => performance.timeOrigin + performance.now();

/** Everything that one canvas needs. */
class Viewer {
  #screen;
  #painter;
  #verifier;
  #decoder = new TileDecoder();
  #socket = new Socket({
    opened: () => this.#hello(),
    packet: (packet, bytes) => this.#handlePacket(packet, bytes),
    closed: (code) => this.#closed(code),
  });
  #viewport = { width: 1, height: 1 };
  #viewerId = 0;
  #seq = 0;
  #slow = false;
  #polledAt = -Infinity;
  #refreshedAt = -Infinity;
  #refreshEvery = REFRESH_EVERY_MS;
  #isLost = false;
  #patience = new Patience();
  #isVisible = true;
  /** When to ask for a picture that should have come by itself. @type {number | null} */
  #overdueAt = null;
  /** @type {import('../protocol/types.js').Digest | null} */
  #digest = null;
  #timer = 0;
  #recheckTimer = 0;
  #frameRate = new Rate();
  #byteRate = new Rate();
  #decodeTimes = new Recent(60);
  #serverTimes = new Recent(60);
  #keys = new KeyLatency();
  #counts = { frames: 0, keyframes: 0, undecodable: 0, refreshes: 0 };
  /** @type {number | null} */
  #rttMs = null;
  #reported = '';

  /** @param {OffscreenCanvas} canvas */
  constructor(canvas) {
    const screen = new Screen(canvas);
    this.#screen = screen;
    this.#verifier = new Verifier((band) => screen.hashBand(band));
    this.#painter = new Painter(screen, this.#decoder, {
      painted: (frame, dirty, arrived, queued) => this.#painted(frame, dirty, arrived, queued),
      dropped: (frame) => this.#acknowledge(frame, 0, 0),
      undecodable: () => this.#undecodable(),
    });
    // Tests plant wrong pixels through this, to see that they are found.
    worker.lattice = { context: screen.context };
    post({ type: 'ready', imageDecoder: this.#decoder.isFast });
  }

  /** @param {Exclude<ToWorker, { type: 'init' }>} message */
  handle(message) {
    switch (message.type) {
      case 'connect': return this.#connect(message);
      case 'disconnect': return this.#disconnect();
      case 'input': return this.#input(message);
      case 'resize': return this.#socket.send({ type: 'resize', width: message.width, height: message.height });
      case 'takeControl': return this.#socket.send({ type: 'takeControl' });
      case 'polled': return this.#polled();
      case 'visible': return this.#seen(message.isVisible);
    }
  }

  /** @param {Extract<ToWorker, { type: 'connect' }>} message */
  #connect({ url, width, height }) {
    this.#disconnect();
    this.#viewport = { width, height };
    this.#patience.begin();
    this.#socket.open(url);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  #disconnect() {
    this.#socket.close();
    this.#rest();
  }

  /** @param {number} code */
  #closed(code) {
    this.#rest();
    post({ type: 'closed', code });
  }

  /** No timer runs and nothing is claimed while there is no connection. */
  #rest() {
    clearInterval(this.#timer);
    clearTimeout(this.#recheckTimer);
    this.#recheckTimer = 0;
    this.#painter.reset();
    this.#verifier.forget();
    this.#keys.forget();
    this.#digest = null;
    this.#overdueAt = null;
    this.#slow = false;
    this.#isLost = false;
    this.#rttMs = null;
    this.#refreshedAt = -Infinity;
    this.#refreshEvery = REFRESH_EVERY_MS;
    this.#report();
  }

  #hello() {
    this.#seq = 0;
    const capabilities = (isSecureContext ? CAPABILITY.SECURE_CONTEXT : 0)
      | (this.#decoder.isFast ? CAPABILITY.IMAGE_DECODER : 0);
    this.#socket.send({ type: 'hello', version: VERSION, capabilities, ...this.#viewport });
  }

  /** @param {Extract<ToWorker, { type: 'input' }>} message */
  #input({ input, at }) {
    if (!this.#socket.isOpen) return;
    this.#seq += 1;
    if ((input.type === 'key' && input.down) || input.type === 'text') this.#keys.pressed(this.#seq, at);
    this.#socket.send({ ...input, seq: this.#seq });
  }

  /** @param {import('../protocol/types.js').ServerPacket} packet @param {number} bytes */
  #handlePacket(packet, bytes) {
    const now = performance.now();
    this.#byteRate.add(now, bytes);
    switch (packet.type) {
      // What was on its way when the display went shows nothing that still is.
      case 'frame': return this.#isLost ? this.#acknowledge(packet, 0, 0) : this.#painter.push(packet, bytes, now);
      case 'digest': return this.#handleDigest(packet, now);
      case 'ping':
        this.#socket.send({ type: 'pong', sentUs: packet.sentUs });
        if (packet.roundTripUs !== NO_ROUND_TRIP) this.#rttMs = packet.roundTripUs / 1000;
        return undefined;
      case 'welcome':
        this.#viewerId = packet.viewer;
        return post(packet);
      case 'displayState':
        this.#handleDisplay(packet.state, now);
        return post(packet);
      case 'control': case 'cursor': return post(packet);
    }
  }

  /** @param {'live' | 'lost' | 'ended'} state @param {number} now */
  #handleDisplay(state, now) {
    if (state === 'live') {
      if (this.#isLost) this.#overdueAt = now + OVERDUE_MS;
    } else {
      this.#overdueAt = null;
      this.#digest = null;
      this.#painter.reset();
      this.#verifier.forget();
      this.#report();
    }
    this.#isLost = state !== 'live';
  }

  /** @param {Frame} frame @param {Rect[]} dirty @param {number} arrived @param {number} queued */
  #painted(frame, dirty, arrived, queued) {
    const now = performance.now();
    const spent = now - arrived;
    this.#acknowledge(frame, spent, queued);
    this.#patience.painted();
    this.#count(frame, now, spent);
    const wasExact = this.#verifier.exact;
    this.#verifier.painted(frame, dirty);
    if (frame.keyframe) post({ type: 'keyframe', width: frame.width, height: frame.height });
    const answered = this.#keys.count;
    if (frame.echoViewer === this.#viewerId) this.#keys.painted(frame.echoSeq, clock());
    const isLast = queued === 0;
    if (isLast && this.#digest && this.#verifier.compare(this.#digest, now)) this.#proven();
    else if (wasExact || frame.keyframe || this.#keys.count > answered) this.#report();
  }

  /**
   * Every frame is acknowledged, even one that could not be painted: the gateway waits for it.
   * @param {Frame} frame @param {number} spent milliseconds from its arrival @param {number} queued
   */
  #acknowledge({ epoch, id }, spent, queued) {
    const decodeUs = Math.round(spent * 1000);
    this.#socket.send({ type: 'ack', epoch, id, decodeUs, queued: Math.min(queued, 255) });
  }

  /** @param {Frame} frame @param {number} now @param {number} spent */
  #count(frame, now, spent) {
    this.#counts.frames += 1;
    if (frame.keyframe) {
      this.#counts.keyframes += 1;
      this.#overdueAt = null;
      this.#refreshEvery = REFRESH_EVERY_MS;
    }
    this.#frameRate.add(now, 1);
    this.#decodeTimes.add(spent);
    this.#serverTimes.add(frame.costUs / 1000);
  }

  #undecodable() {
    this.#counts.undecodable += 1;
    this.#overdueAt = performance.now();
    this.#refresh();
  }

  /** Asks for the whole picture, at most once in two seconds and then less often. */
  #refresh() {
    const now = performance.now();
    if (now - this.#refreshedAt < this.#refreshEvery) return;
    this.#refreshedAt = now;
    this.#refreshEvery = Math.min(this.#refreshEvery * 2, REFRESH_LATEST_MS);
    this.#counts.refreshes += 1;
    this.#socket.send({ type: 'refresh' });
  }

  /**
   * A refresh brings the frame that is shown once more, so a digest of it waits while frames do.
   * @param {import('../protocol/types.js').Digest} digest @param {number} now
   */
  #handleDigest(digest, now) {
    if (this.#isLost) return;
    this.#digest = digest;
    if (this.#painter.queued === 0 && this.#verifier.compare(digest, now)) this.#proven();
  }

  #proven() {
    this.#digest = null;
    // Where a caret blinks the timer seldom finds a digest that still holds.
    if (this.#isVisible) this.#verifier.recheckNext(performance.now());
    this.#report();
    this.#recheckSoon();
  }

  /** A few bands in turn while somebody looks, all of them while somebody asks. */
  #recheckSoon() {
    if (this.#recheckTimer) return;
    this.#recheckTimer = setTimeout(() => {
      this.#recheckTimer = 0;
      const now = performance.now();
      const isPolled = now - this.#polledAt < POLLED_FOR_MS;
      if (!isPolled && !this.#isVisible) return;
      const wasExact = this.#verifier.exact;
      const goesOn = isPolled ? this.#verifier.recheckAll(now) : this.#verifier.recheckNext(now);
      if (this.#verifier.needsHealing(now)) this.#refresh();
      if (this.#verifier.exact !== wasExact) this.#report();
      if (goesOn) this.#recheckSoon();
    }, RECHECK_MS);
  }

  #polled() {
    this.#polledAt = performance.now();
    if (this.#socket.isActive) this.#recheckSoon();
  }

  /** Who comes back to the page gets no proof from before. @param {boolean} isVisible */
  #seen(isVisible) {
    this.#isVisible = isVisible;
    if (!isVisible || !this.#socket.isActive) return;
    this.#verifier.recheckAll(performance.now());
    this.#report();
    this.#recheckSoon();
  }

  #tick() {
    const now = performance.now();
    const quiet = now - this.#socket.heardAt;
    if (this.#patience.isOver(quiet)) {
      this.#disconnect();
      return post({ type: 'silent' });
    }
    const waitingSince = this.#painter.waitingSince;
    const slow = quiet > QUIET_MS || (waitingSince !== null && now - waitingSince > SLOW_FRAME_MS);
    if (slow !== this.#slow) post({ type: 'lagging', slow });
    this.#slow = slow;
    if (this.#overdueAt !== null && now >= this.#overdueAt) this.#refresh();
    return this.#report();
  }

  /** Tells the page the figures, where they are not what it was told last. */
  #report() {
    const now = performance.now();
    const keys = this.#keys.samples;
    /** @type {import('./messages.js').WorkerStats} */
    const stats = {
      fps: this.#frameRate.perSecond(now), rttMs: this.#rttMs,
      keyToPixelMs: percentile(keys.values, 0.5), keyToPixelLastMs: keys.last,
      keyToPixelP95Ms: percentile(keys.values, 0.95), keyToPixelCount: this.#keys.count,
      bytesPerSecond: this.#byteRate.perSecond(now), mode: 'tiles', exact: this.#verifier.exact,
      ...this.#counts, mismatches: this.#verifier.mismatches,
      decodeMs: percentile(this.#decodeTimes.values, 0.5),
      serverMs: percentile(this.#serverTimes.values, 0.5), queued: this.#painter.queued,
      desktopWidth: this.#screen.width, desktopHeight: this.#screen.height,
      decodeTimes: this.#decodeTimes.values,
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
