/** What the panel of logs shows: `apply` says what an event makes of it. Pure. */

/** @import { LogLine, LogsEvent, LogsModel } from './kept.js' */

/** So many lines are kept and shown; more can be downloaded. */
export const MOST = 2000;

/** @returns {LogsModel} */
export const initial = () => ({
  isOpen: false, parts: null, part: '', lines: [], count: 0, held: null, heldAt: 0, state: 'reading', reason: '', query: '', problem: null,
});

/** @param {LogsModel} model @param {LogsEvent} event @returns {LogsModel} */
export function apply(model, event) {
  switch (event.type) {
    case 'opened': return { ...initial(), isOpen: true, part: model.part };
    case 'closed': return { ...initial(), part: model.part };
    case 'parts': {
      const isThere = event.parts.some(({ part }) => part === model.part);
      // What has been read of a part that is gone stays to be read.
      const isKept = !isThere && model.lines.length > 0;
      const part = isThere || isKept ? model.part : event.parts[0]?.part ?? '';
      return { ...model, parts: event.parts, part, problem: null, state: isKept ? 'ended' : 'reading' };
    }
    case 'part': return { ...initial(), isOpen: true, parts: model.parts, query: model.query, part: event.part };
    case 'ready': return { ...model, state: 'on', lines: [], problem: null };
    case 'lines': {
      const numbered = event.lines.map((line, at) => ({ ...line, number: model.count + at }));
      return { ...model, count: model.count + numbered.length, lines: [...model.lines, ...numbered].slice(-MOST) };
    }
    case 'ended': return { ...model, state: 'ended', reason: event.reason };
    case 'lost': return model.state === 'ended' ? model : { ...model, state: 'lost' };
    case 'refused': return { ...model, state: 'refused', problem: event.problem };
    // Whoever scrolls up reads: nothing moves below their eyes.
    case 'held': return model.held ? model : { ...model, held: model.lines, heldAt: model.count };
    case 'followed': return { ...model, held: null };
    case 'query': return { ...model, query: event.query, held: null };
  }
}

/** How many came since somebody scrolled up. @param {LogsModel} model */
export const fresh = ({ held, heldAt, count }) => (held ? count - heldAt : 0);

/** The lines to be shown. @param {LogsModel} model @returns {readonly LogLine[]} */
export function visible({ lines, held, query }) {
  const wanted = query.trim().toLocaleLowerCase();
  const all = held ?? lines;
  return wanted === '' ? all : all.filter(({ text }) => text.toLocaleLowerCase().includes(wanted));
}

/** A text in pieces, of which every second one was looked for. @param {string} text @param {string} query */
export function pieces(text, query) {
  const wanted = query.trim().toLocaleLowerCase();
  const lower = text.toLocaleLowerCase();
  // A letter may be longer in lower case; then none is pointed out.
  if (wanted === '' || lower.length !== text.length) return [text];
  const made = [];
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    made.push(text.slice(from, at), text.slice(at, at + wanted.length));
    from = at + wanted.length;
  }
  return [...made, text.slice(from)];
}
