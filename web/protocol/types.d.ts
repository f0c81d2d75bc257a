/** Packets as objects: what `server.js` reads, `client.js` writes and `tests/web/lib/mirror.mjs` the other way round. */

export type Bytes =
  Uint8Array<ArrayBuffer>;
export type Size =
  { width: number, height: number };
export type Rect =
  { x: number, y: number, width: number, height: number };
/** `0x00RRGGBB` */
export type FillOp =
  Rect & { kind: 'fill', color: number };
export type CopyOp =
  Rect & { kind: 'copy', fromX: number, fromY: number };
export type PngOp =
  Rect & { kind: 'png', data: Bytes };
export type PaletteOp =
  Rect & { kind: 'palette', data: Bytes };
/** the next picture of a stream of H.264; `damage` on the screen, within the rectangle */
export type VideoOp =
  Rect & { kind: 'video', stream: number, keyframe: boolean, codedWidth: number,
  codedHeight: number, damage: Rect[], data: Bytes };
export type Op =
  FillOp | CopyOp | PngOp | PaletteOp | VideoOp;
/** `keyframe` is the size of the screen, all of whose pixels the frame carries; `refresh` the request it answers */
export type Frame =
  { type: 'frame', keyframe: Size | null, refresh: number | null, epoch: number, id: number,
  echoViewer: number, echoSeq: number, costUs: number, ops: Op[] };
export type Digest =
  { type: 'digest', epoch: number, id: number, width: number, height: number,
  bands: number[] };
export type Cursor =
  { type: 'cursor', hotX: number, hotY: number, width: number, height: number,
  png: Bytes };
/** each may what those before it may */
export type Role =
  'view' | 'assist' | 'control' | 'own';
export type Welcome =
  { type: 'welcome', version: number, viewer: number, role: Role,
  minWidth: number, minHeight: number, maxWidth: number, maxHeight: number,
  name: string };
export type Control =
  { type: 'control', controller: number, viewers: number };
export type DisplayState =
  { type: 'displayState', state: 'live' | 'lost' | 'ended', reason: string };
export type Ping =
  { type: 'ping', sentUs: bigint, roundTripUs: number };
/** `bitrate` in bit/s, 2^32-1 while no limit has been met */
export type Condition =
  { type: 'condition', bottleneck: 'nothing' | 'server' | 'network' | 'browser',
  bitrate: number, debtMs: number };
/** `asks`: waits to be given control */
export type Person =
  { viewer: number, role: Role, asks: boolean, name: string };
export type People =
  { type: 'people', people: Person[] };
export type Pointing =
  { type: 'pointing', viewer: number, x: number, y: number };
/** whether the desktop rests or waits; `stops`: it is not merely paused; `etaS` null where nobody knows */
export type Standing =
  { type: 'standing' } & ({ is: 'usual' | 'paused' }
  | { is: 'warned', idleS: number, leftS: number, stops: boolean }
  | { is: 'queued', position: number, etaS: number | null });
/** somebody on the desktop asks for the desktop's page; told to its owners only */
export type OfferPage =
  { type: 'offerPage' };
export type ServerPacket =
  Frame | Digest | Cursor | Welcome | Control | DisplayState | Ping | Condition | People | Pointing
  | Standing | OfferPage;

export type Hello =
  { type: 'hello', version: number, capabilities: number, width: number,
  height: number };
export type Ack =
  { type: 'ack', epoch: number, id: number, decodeUs: number, queued: number };
export type Pong =
  { type: 'pong', sentUs: bigint };
export type Resize =
  { type: 'resize', width: number, height: number };
export type Refresh =
  { type: 'refresh' };
export type TakeControl =
  { type: 'takeControl' };
export type GiveControl =
  { type: 'giveControl', viewer: number };
export type ReleaseControl =
  { type: 'releaseControl' };
export type Point =
  { type: 'point', x: number, y: number };
export type Key =
  { type: 'key', seq: number, down: boolean, modifiers: number, code: string,
  key: string };
export type Text =
  { type: 'text', seq: number, text: string };
export type Pointer =
  { type: 'pointer', seq: number, x: number, y: number };
export type Button =
  { type: 'button', seq: number, x: number, y: number, button: number, down: boolean,
  modifiers: number };
export type Wheel =
  { type: 'wheel', seq: number, x: number, y: number, dx: number, dy: number,
  modifiers: number };
export type ReleaseAll =
  { type: 'releaseAll', seq: number };
export type Input =
  Key | Text | Pointer | Button | Wheel | ReleaseAll;
export type ClientPacket =
  Hello | Ack | Pong | Resize | Refresh | TakeControl | GiveControl | ReleaseControl | Point | Input;
