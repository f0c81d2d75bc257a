/**
 * The viewer's page: one model, changed by events, from which every view is drawn.
 *
 * The worker has the picture and the socket, this has the decisions: `client/session.js` says what
 * an event means, and the effects that it returns are carried out here.
 */

import { gate, h264Found, ownRelease, worker } from './start.js';
import * as control from '../client/control.js';
import { newer } from '../client/release.js';
import * as session from '../client/session.js';
import { Keys } from '../input/keys.js';
import { Pointer } from '../input/pointer.js';
import { noticeInsecure } from './abilities.js';
import { byId, markWalks } from './dom.js';
import { wishedSize } from './fit.js';
import { hasHome, isLoopback, socketUrl } from './gate.js';
import { Offer } from './offer.js';
import { Overlay } from './overlay.js';
import { People } from './people.js';
import { Pointers } from './pointers.js';
import { Rest } from './rest.js';
import { Stage } from './stage.js';
import { StatsPanel, noStats } from './stats-panel.js';
import { Toolbar } from './toolbar.js';
import { Update } from './update.js';
import { restingWords } from './words.js';

/** @import { ToWorker, FromWorker } from '../media/messages.js' */
/** @import { Mode } from './fit.js' */

const RESIZE_SETTLES_MS = 150;
const POLL_MS = 500;
const POLL_AT_MOST_MS = 100;

const USUAL = Object.freeze({ type: /** @type {const} */ ('standing'), is: /** @type {const} */ ('usual') });

const canvas = byId('screen', HTMLCanvasElement);

const model = {
  session: session.initial(),
  welcome: /** @type {import('../protocol/types.js').Welcome | null} */ (null),
  controller: 0,
  viewers: 0,
  people: /** @type {import('../protocol/types.js').Person[]} */ ([]),
  hasAsked: false,
  desktop: { width: 0, height: 0 },
  standing: /** @type {import('../protocol/types.js').Standing} */ (USUAL),
  /** Where the pointer was sent last. */
  pointer: { x: 0, y: 0 },
  /** What the person chose; null for what suits best. @type {Mode | null} */
  chosenMode: /** @type {Mode | null} */ (null),
  statsOpen: new URLSearchParams(location.search).get('stats') === '1',
  h264: /** @type {import('./abilities.js').H264} */ ('yes'),
  stats: noStats(),
  /** The server's release where it is another than this page's, and the one that somebody does not want yet. */
  update: '',
  putOff: '',
};

// What follows from the model ---------------------------------------------------------------------

const isLive = () => model.session.phase === 'live' || model.session.phase === 'lagging';
const isDriving = () => control.isDriving(room());
/** A paused desktop shows nothing new, and hears what wakes it. */
const isHeard = () => isLive() || (model.session.link === 'open' && model.standing.is === 'paused');

/** @returns {control.Room} */
function room() {
  const { welcome, controller, people, hasAsked } = model;
  return { viewer: welcome?.viewer ?? 0, role: welcome?.role ?? null, controller, people, hasAsked };
}

function canResize() {
  const limits = model.welcome;
  return limits !== null && isDriving()
    && (limits.minWidth !== limits.maxWidth || limits.minHeight !== limits.maxHeight);
}

/** @returns {Mode} */
function mode() {
  const mode = model.chosenMode ?? (canResize() ? 'resize' : 'fit');
  return mode === 'resize' && !canResize() ? 'fit' : mode;
}

/** @returns {import('../media/messages.js').Stats} */
function stats() {
  return {
    ...model.stats, exact: model.stats.exact && isLive(), controller: model.controller,
    viewers: model.viewers, viewerId: model.welcome?.viewer ?? 0,
    h264: model.stats.videoFailed ? 'failed' : model.h264,
  };
}

// Views -------------------------------------------------------------------------------------------

const overlay = new Overlay(byId('overlay', HTMLElement), hasHome(), () => dispatch({ type: 'retry' }));
const panel = new StatsPanel(() => setStats(false));
const stage = new Stage(byId('stage', HTMLElement), canvas, () => wishSize());
const toolbar = new Toolbar({
  setMode(mode) {
    model.chosenMode = mode;
    render();
    wishSize();
  },
  toggleStats: () => setStats(!model.statsOpen),
  chord: (chord) => keys.chord(chord),
  focusDesktop,
});

const update = new Update({
  reload: () => location.reload(),
  dismiss() {
    model.putOff = model.update;
    render();
    focusDesktop();
  },
});
/** The pointer stays where it is: that somebody moved it is all that counts. */
const rest = new Rest(() => {
  sink.send({ type: 'pointer', ...model.pointer }, performance.timeOrigin + performance.now());
  focusDesktop();
});
const offer = new Offer(focusDesktop);
const pointers = new Pointers();
const people = new People({
  act(action) {
    model.hasAsked = action === 'ask';
    tell({ type: action === 'take' || action === 'ask' ? 'takeControl' : 'releaseControl' });
    render();
    focusDesktop();
  },
  give(viewer) {
    tell({ type: 'giveControl', viewer });
    focusDesktop();
  },
});

const sink = {
  send(/** @type {import('../media/messages.js').InputEvent} */ input, /** @type {number} */ at) {
    if ('x' in input) model.pointer = { x: input.x, y: input.y };
    tell({ type: 'input', input, at });
  },
  isActive: () => isHeard() && isDriving(),
  point(/** @type {{ x: number, y: number }} */ at) {
    if (isLive() && control.isPointing(room())) tell({ type: 'point', ...at });
  },
  desktop: () => model.desktop,
  leave: () => toolbar.enter(),
  typed() {
    delete document.documentElement.dataset.by;
    toolbar.stepAside();
  },
};
const keys = new Keys(canvas, sink);
new Pointer(canvas, sink);

function render() {
  const root = document.documentElement;
  root.dataset.state = model.session.phase;
  root.dataset.reason = model.session.reason;
  root.dataset.standing = model.standing.is;
  const isOpen = model.session.link === 'open';
  overlay.render(model.session, isOpen && !isLive() ? restingWords(model.standing, isDriving()) : null);
  rest.render(isLive() ? model.standing : null, isDriving());
  stage.show(model.desktop, mode());
  toolbar.render({
    mode: mode(), canResize: canResize(), statsOpen: model.statsOpen, name: model.welcome?.name ?? '',
    isSlow: model.session.phase === 'lagging',
  });
  people.render(room(), isLive());
  update.render(isLive() && model.update !== '' && model.update !== model.putOff);
  pointers.place(canvas.getBoundingClientRect(), model.desktop);
  panel.render(model.statsOpen, stats());
}

function focusDesktop() {
  canvas.focus({ preventScroll: true });
}

markWalks();

// Statistics --------------------------------------------------------------------------------------

let polledAt = -Infinity;
let pollTimer = 0;

/** Somebody looks at the figures: the worker proves the whole picture again and again meanwhile. */
function poll() {
  if (performance.now() - polledAt < POLL_AT_MOST_MS) return;
  polledAt = performance.now();
  tell({ type: 'polled' });
}

/** @param {boolean} isOpen */
function setStats(isOpen) {
  model.statsOpen = isOpen;
  clearInterval(pollTimer);
  if (isOpen) pollTimer = setInterval(poll, POLL_MS);
  render();
}

window.lattice = {
  stats() {
    poll();
    return stats();
  },
};

// Events and effects ------------------------------------------------------------------------------

let retryTimer = 0;

/** @param {session.Event} event */
function dispatch(event) {
  const before = model.session;
  const [next, effects] = session.apply(before, { ...event, now: performance.now(), random: Math.random() });
  model.session = next;
  for (const effect of effects) carryOut(effect);
  const wasLive = before.phase === 'live' || before.phase === 'lagging';
  if (isLive() && !wasLive) wishSize();
  if (next !== before) render();
}

/** @param {session.Effect} effect */
function carryOut(effect) {
  switch (effect.type) {
    case 'check':
      clearTimeout(retryTimer);
      void check();
      break;
    case 'connect': {
      const { width, height } = stage.size;
      tell({
        type: 'connect', url: socketUrl(), width: atMostU16(width), height: atMostU16(height),
        h264: model.h264 === 'yes',
      });
      break;
    }
    case 'disconnect':
      model.welcome = null;
      model.controller = 0;
      model.people = [];
      model.hasAsked = false;
      model.standing = USUAL;
      pointers.clear();
      tell({ type: 'disconnect' });
      keys.releaseAll();
      break;
    case 'wait':
      clearTimeout(retryTimer);
      retryTimer = setTimeout(() => dispatch({ type: 'due' }), effect.delayMs);
      break;
  }
}

/** The browser is asked once what it can do, beside the first question to the server. */
async function check() {
  const [{ release, ...answer }, h264] = await Promise.all([gate.check(), h264Found]);
  model.h264 = h264;
  if (release !== null) model.update = newer(ownRelease, release);
  dispatch({ type: 'checked', ...answer });
}

const atMostU16 = (/** @type {number} */ value) => Math.min(Math.max(Math.floor(value), 1), 0xffff);

/** @param {FromWorker} message */
function handle(message) {
  switch (message.type) {
    case 'ready': return void h264Found.then((h264) => (
      noticeInsecure({ imageDecoder: message.imageDecoder, h264 }, focusDesktop)));
    case 'closed': return dispatch({ type: 'closed', code: message.code, reason: message.reason });
    case 'silent': return dispatch({ type: 'silent' });
    case 'lagging': return dispatch({ type: 'lagging', slow: message.slow });
    case 'displayState': return dispatch({ type: 'display', state: message.state, detail: message.reason });
    case 'keyframe':
      model.desktop = { width: message.width, height: message.height };
      dispatch({ type: 'painted' });
      return render();
    case 'welcome':
      model.welcome = message;
      return render();
    case 'standing':
      model.standing = message;
      return render();
    case 'offerPage': return offer.show();
    case 'control': return handleControl(message);
    case 'people':
      model.people = message.people;
      return render();
    case 'pointing':
      pointers.show(message, model.people.find(({ viewer }) => viewer === message.viewer)?.name ?? '');
      return pointers.place(canvas.getBoundingClientRect(), model.desktop);
    case 'cursor': return stage.setCursor(message);
    case 'stats':
      model.stats = message.stats;
      if (model.statsOpen) panel.render(true, stats());
      return undefined;
  }
}

/** @param {import('../protocol/types.js').Control} message */
function handleControl({ controller, viewers }) {
  const wasDriving = isDriving();
  model.controller = controller;
  model.viewers = viewers;
  if (isDriving()) model.hasAsked = false;
  render();
  if (isDriving() && !wasDriving) wishSize();
}

// The desktop's size ------------------------------------------------------------------------------

let wishTimer = 0;

/** Asks for the stage's size once it rests, where the desktop shall follow it. */
function wishSize() {
  clearTimeout(wishTimer);
  wishTimer = setTimeout(() => {
    if (!model.welcome || mode() !== 'resize' || !isLive()) return;
    const { width, height } = wishedSize(stage.size, model.welcome);
    if (width === model.desktop.width && height === model.desktop.height) return;
    tell({ type: 'resize', width: atMostU16(width), height: atMostU16(height) });
  }, RESIZE_SETTLES_MS);
}

// Start -------------------------------------------------------------------------------------------

/** @param {ToWorker} message @param {Transferable[]} [transfer] */
function tell(message, transfer = []) {
  worker.postMessage(message, transfer);
}

function start() {
  if (typeof canvas.transferControlToOffscreen !== 'function') {
    dispatch({ type: 'unsupported', detail: 'It has no OffscreenCanvas.' });
    return;
  }
  worker.onmessage = ({ data }) => handle(data);
  worker.onerror = ({ message }) => dispatch({ type: 'crashed', detail: message || 'The viewer’s worker could not start.' });
  const offscreen = canvas.transferControlToOffscreen();
  tell({ type: 'init', canvas: offscreen }, [offscreen]);
  tell({ type: 'visible', isVisible: !document.hidden });
  setStats(model.statsOpen);
  focusDesktop();
  dispatch({ type: 'start' });
}

window.addEventListener('online', () => dispatch({ type: 'woke' }));
window.addEventListener('offline', () => { if (!isLoopback(location.hostname)) dispatch({ type: 'offline' }); });
document.addEventListener('visibilitychange', () => {
  tell({ type: 'visible', isVisible: !document.hidden });
  if (!document.hidden) dispatch({ type: 'woke' });
});
// A new link pasted into the same tab changes nothing but the fragment.
window.addEventListener('hashchange', () => {
  if (!gate.takeSecret()) return;
  tell({ type: 'disconnect' });
  dispatch({ type: 'start' });
});

start();
