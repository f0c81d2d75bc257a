/** Who drives and what this viewer may do about it, as facts and words; pure. */

/** @import { Person, Role } from '../protocol/types.js' */

/**
 * @typedef {{ viewer: number, role: Role | null, controller: number, people: Person[],
 *   hasAsked: boolean }} Room `role` is null before the welcome; `people` is known to owners only
 * @typedef {'take' | 'ask' | 'withdraw' | 'release'} Action
 */

/** @type {Readonly<Record<Role, string>>} */
export const ROLE_WORDS = Object.freeze({
  view: 'Watches', assist: 'Points', control: 'May be given control', own: 'Owner',
});

/** @param {Room} room */
export const isDriving = ({ role, viewer, controller }) => role !== null && controller === viewer;

/** Whether the others see where its pointer is. @param {Room} room */
export const isPointing = (room) => (
  !isDriving(room) && room.role !== null && room.role !== 'view' && room.controller !== 0);

/**
 * What is said while somebody else drives, or while control is a guest's for now; null where there
 * is nothing to say.
 * @param {Room} room
 * @returns {{ words: string, action: Action | null, label: string } | null}
 */
export function standing(room) {
  if (isDriving(room)) {
    return room.role === 'control'
      ? { words: 'You have control', action: 'release', label: 'Give it back' } : null;
  }
  switch (room.role) {
    case null: return null;
    case 'own': return { words: driver(room), action: 'take', label: 'Take control' };
    case 'control':
      return room.hasAsked
        ? { words: 'You asked for control', action: 'withdraw', label: 'Never mind' }
        : { words: 'You are watching', action: 'ask', label: 'Ask for control' };
    case 'assist': return { words: 'You are watching; others see your pointer', action: null, label: '' };
    case 'view': return { words: 'You are watching', action: null, label: '' };
  }
}

/** @param {Room} room */
function driver({ controller, people }) {
  if (controller === 0) return 'Nobody is driving';
  const name = people.find(({ viewer }) => viewer === controller)?.name;
  return name ? `${name} is driving` : 'Someone else is driving';
}

/** Those who wait to be given control, for an owner. @param {Room} room */
export const asking = ({ people, role }) => (role === 'own' ? people.filter(({ asks }) => asks) : []);

/** What somebody is called in a list. @param {Person} person @param {number} self */
export function nameOf({ name, viewer }, self) {
  if (viewer === self) return name ? `${name} (you)` : 'You';
  return name || 'Somebody';
}
