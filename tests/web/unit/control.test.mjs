// What is said of who drives, and what a viewer may do about it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asking, isDriving, isPointing, nameOf, standing } from '../../../web/client/control.js';

const PEOPLE = [
  { viewer: 1, role: 'own', asks: false, name: 'Ann' },
  { viewer: 2, role: 'control', asks: true, name: '' },
];
const room = (fields) => ({ viewer: 1, role: 'own', controller: 1, people: [], hasAsked: false, ...fields });

test('nothing is said to an owner who drives, nor before the welcome', () => {
  assert.equal(isDriving(room({})), true);
  assert.equal(standing(room({})), null);
  assert.equal(standing(room({ role: null, viewer: 0, controller: 0 })), null);
  assert.equal(isDriving(room({ role: null, viewer: 0, controller: 0 })), false);
});

test('each role may do what is its own', () => {
  const told = (fields) => {
    const { words, action } = standing(room({ viewer: 3, ...fields }));
    return [words, action];
  };
  assert.deepEqual(told({ role: 'own', people: PEOPLE }), ['Ann is driving', 'take']);
  assert.deepEqual(told({ role: 'own' }), ['Someone else is driving', 'take']);
  assert.deepEqual(told({ role: 'own', controller: 0 }), ['Nobody is driving', 'take']);
  assert.deepEqual(told({ role: 'control' }), ['You are watching', 'ask']);
  assert.deepEqual(told({ role: 'control', hasAsked: true }), ['You asked for control', 'withdraw']);
  assert.deepEqual(told({ role: 'control', controller: 3 }), ['You have control', 'release']);
  assert.equal(told({ role: 'assist' })[1], null);
  assert.deepEqual(told({ role: 'view' }), ['You are watching', null]);
});

test('who may point does so while somebody else drives', () => {
  assert.equal(isPointing(room({ viewer: 3, role: 'assist' })), true);
  assert.equal(isPointing(room({ viewer: 3, role: 'control' })), true);
  assert.equal(isPointing(room({ viewer: 3, role: 'view' })), false);
  assert.equal(isPointing(room({})), false);
  assert.equal(isPointing(room({ viewer: 3, role: 'assist', controller: 0 })), false);
});

test('requests are for owners to hear', () => {
  assert.deepEqual(asking(room({ people: PEOPLE })).map(({ viewer }) => viewer), [2]);
  assert.deepEqual(asking(room({ role: 'control', people: PEOPLE })), []);
});

test('nobody is nameless in a list', () => {
  assert.equal(nameOf(PEOPLE[0], 1), 'Ann (you)');
  assert.equal(nameOf(PEOPLE[0], 9), 'Ann');
  assert.equal(nameOf(PEOPLE[1], 2), 'You');
  assert.equal(nameOf(PEOPLE[1], 9), 'Somebody');
});
