/** What is said at the edge when nobody works at a desktop. Pure. */

/** @import { Standing } from '../protocol/types.js' */

/** @typedef {{ text: string, canGoOn: boolean }} Notice `canGoOn`: with a button for it */

/** @param {number} seconds */
function minutes(seconds) {
  const count = Math.max(1, Math.round(seconds / 60));
  return `${count} ${count === 1 ? 'minute' : 'minutes'}`;
}

/**
 * @param {Standing} standing
 * @param {number} passedS since that was told
 * @param {boolean} isDriving whether what this person does reaches the desktop
 * @returns {Notice | null}
 */
export function notice(standing, passedS, isDriving) {
  switch (standing.is) {
    case 'usual': case 'queued': return null;
    case 'warned': {
      const [idle, left] = [minutes(standing.idleS + passedS), minutes(standing.leftS - passedS)];
      const end = standing.stops ? `It stops in ${left}; save your work.` : `It pauses in ${left}; your work is kept.`;
      return { text: `Nobody has worked here for ${idle}. ${end}`, canGoOn: isDriving };
    }
    case 'paused': return {
      text: isDriving ? 'Paused. Move the mouse or press a key to go on.' : 'Paused. It goes on when somebody works here again.',
      canGoOn: false,
    };
  }
}
