/** Why a WebSocket was closed; mirrors `server/wire/src/close.rs`. */
export const CLOSE = Object.freeze({
  RESTART: 1012,
  PROTOCOL: 4000,
  SILENT: 4001,
  VERSION: 4002,
  REVOKED: 4003,
  STALLED: 4008,
  FULL: 4013,
  FLOOD: 4029,
  ENDED: 4100,
});

/** The milliseconds within which a reason of `RESTART` asks viewers to come back. @param {string} reason */
export function returnWithin(reason) {
  return Number(/come back within (\d+) ms$/.exec(reason)?.[1] ?? 0);
}
