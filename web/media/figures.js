/** What is counted and measured about one page's picture, for the statistics. */

import { KeyLatency, Rate, Recent, percentile } from '../client/stats.js';

/** @import { Condition, Ping } from '../protocol/types.js' */
/** @import { Painted } from './painter.js' */
/** @import { WorkerStats } from './messages.js' */

const NO_ROUND_TRIP = 0xffffffff;
const NO_BITRATE = 0xffffffff;
/** The picture is video for so long after some was painted. */
const VIDEO_LASTS_MS = 1000;

/** @typedef {Pick<WorkerStats, 'bottleneck' | 'bitrate' | 'debtMs'>} Limits */

/** @returns {Limits} */
const noLimits = () => ({ bottleneck: 'nothing', bitrate: null, debtMs: 0 });

/** Figures of the picture and the connection. */
export class Figures {
  #frameRate = new Rate();
  #byteRate = new Rate();
  #decodeTimes = new Recent(60);
  #serverTimes = new Recent(60);
  #videoAt = -Infinity;
  /** @type {number | null} */
  #rttMs = null;
  #limits = noLimits();
  /** @readonly */
  keys = new KeyLatency();
  /** @readonly */
  counts = { frames: 0, keyframes: 0, undecodable: 0, refreshes: 0 };

  /** There is no connection any more. */
  disconnected() {
    this.keys.forget();
    this.#rttMs = null;
    this.#limits = noLimits();
    this.#videoAt = -Infinity;
  }

  /** @param {number} now @param {number} bytes of a packet */
  received(now, bytes) {
    this.#byteRate.add(now, bytes);
  }

  /** @param {Ping} ping */
  pinged({ roundTripUs }) {
    if (roundTripUs !== NO_ROUND_TRIP) this.#rttMs = roundTripUs / 1000;
  }

  /** @param {Condition} condition */
  limited({ bottleneck, bitrate, debtMs }) {
    this.#limits = { bottleneck, bitrate: bitrate === NO_BITRATE ? null : bitrate, debtMs };
  }

  /** @param {Painted} painted @param {number} now */
  painted({ frame, arrived, isVideo }, now) {
    this.counts.frames += 1;
    if (frame.keyframe) this.counts.keyframes += 1;
    if (isVideo) this.#videoAt = now;
    this.#frameRate.add(now, 1);
    this.#decodeTimes.add(now - arrived);
    this.#serverTimes.add(frame.costUs / 1000);
  }

  /** @param {number} now */
  at(now) {
    const keys = this.keys.samples;
    return {
      fps: this.#frameRate.perSecond(now), rttMs: this.#rttMs,
      keyToPixelMs: percentile(keys.values, 0.5), keyToPixelLastMs: keys.last,
      keyToPixelP95Ms: percentile(keys.values, 0.95), keyToPixelCount: this.keys.count,
      bytesPerSecond: this.#byteRate.perSecond(now),
      mode: /** @type {WorkerStats['mode']} */ (now - this.#videoAt < VIDEO_LASTS_MS ? 'video' : 'tiles'),
      ...this.counts, ...this.#limits,
      decodeMs: percentile(this.#decodeTimes.values, 0.5),
      serverMs: percentile(this.#serverTimes.values, 0.5), decodeTimes: this.#decodeTimes.values,
    };
  }
}
