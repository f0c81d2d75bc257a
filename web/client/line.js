/** What a person is told who waits until there is a place for their desktop. Pure. */

/** @typedef {{ position: number, etaS: number | null }} Queue `etaS` null where nobody knows */

const MINUTE = 60;

/** @param {number} count */
function ordinal(count) {
  const isTeen = count % 100 >= 11 && count % 100 <= 13;
  const ending = isTeen ? 'th' : ['th', 'st', 'nd', 'rd'][count % 10] ?? 'th';
  return `${count}${ending}`;
}

/** Nobody is told a shorter time than is thought. @param {number} seconds */
function about(seconds) {
  if (seconds < MINUTE) return 'less than a minute';
  const minutes = Math.ceil(seconds / MINUTE);
  return `about ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}`;
}

/** `3rd in line, about 2 minutes`. @param {Queue} queue */
export const place = ({ position, etaS }) => `${ordinal(position)} in line${etaS === null ? '' : `, ${about(etaS)}`}`;
