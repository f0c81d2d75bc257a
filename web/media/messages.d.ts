/** What the page and its worker say to each other. */

export type Condition =
  import('../protocol/types.js').Condition;
export type Pointer =
  import('../protocol/types.js').Pointer;
export type Button =
  import('../protocol/types.js').Button;
export type Wheel =
  import('../protocol/types.js').Wheel;
/** input that has no number yet */
export type InputEvent =
  import('../client/keyboard.js').Stroke | Omit<Pointer, 'seq'> | Omit<Button, 'seq'>
  | Omit<Wheel, 'seq'> | { type: 'releaseAll' };
/** `at`: ms since 1970, of the clock that does not jump */
export type ToWorker =
  { type: 'init', canvas: OffscreenCanvas }
  | { type: 'connect', url: string, width: number, height: number, h264: boolean }
  | { type: 'disconnect' }
  | { type: 'input', input: InputEvent, at: number }
  | { type: 'resize', width: number, height: number }
  | import('../protocol/types.js').TakeControl
  | import('../protocol/types.js').GiveControl
  | import('../protocol/types.js').ReleaseControl
  | import('../protocol/types.js').Point
  | { type: 'polled' }
  | { type: 'visible', isVisible: boolean };
export type FromWorker =
  { type: 'ready', imageDecoder: boolean }
  | { type: 'closed', code: number, reason: string }
  | { type: 'silent' }
  | { type: 'keyframe', width: number, height: number }
  | { type: 'lagging', slow: boolean }
  | { type: 'stats', stats: WorkerStats }
  | import('../protocol/types.js').Welcome
  | import('../protocol/types.js').Control
  | import('../protocol/types.js').People
  | import('../protocol/types.js').Pointing
  | import('../protocol/types.js').DisplayState
  | import('../protocol/types.js').Standing
  | import('../protocol/types.js').OfferPage
  | import('../protocol/types.js').Cursor;
/** `bitrate` in bit/s, null while no limit has been met */
export type WorkerStats =
  { fps: number, rttMs: number | null, keyToPixelMs: number | null,
  keyToPixelLastMs: number | null, keyToPixelP95Ms: number | null, keyToPixelCount: number,
  bytesPerSecond: number, mode: 'tiles' | 'video', exact: boolean, frames: number, keyframes: number,
  undecodable: number, mismatches: number, refreshes: number, videoUnits: number,
  videoSkipped: number, videoFailed: boolean, bottleneck: Condition['bottleneck'], bitrate: number | null, debtMs: number,
  decodeMs: number | null, serverMs: number | null, queued: number, desktopWidth: number,
  desktopHeight: number, decodeTimes: number[] };
/** `h264`: whether the browser decodes it, or why not */
export type Stats =
  WorkerStats & { controller: number, viewers: number, viewerId: number,
  h264: 'yes' | 'no' | 'insecure' | 'off' | 'failed' };
