/** The page of one desktop: how it is, what it takes, who is there, and all that can be done with it. */

import { html } from '../html.js';
import { called, sessionOf, titled } from '../state.js';
import { amount, offers, since, span, stateSentence, stateTone, t } from '../words.js';
import { About } from './about.js';
import { Main, Screen, kindOf, mayManage } from './desktops.js';
import { Logs } from './logs.js';
import { Failed, IconButton, icon } from './parts.js';
import { Viewers } from './share.js';
import { Template as OwnTemplate } from './template.js';

/** @import { Actions } from '../main.js' */
/** @import { App, Held, Model, Session, Usage } from '../types.js' */
/** @import { Child } from '../../vendor/preact/preact.mjs' */

/** @typedef {{ model: Model, actions: Actions }} Props */
/** @typedef {Props & { session: Session }} OfOne */

/** @param {Props} props */
export function Project(props) {
  const { model, actions } = props;
  const { items, problem } = model.sessions;
  const session = sessionOf(model, model.subject);
  return html`<main class="content project" id="content">
    <a class="back" href=${model.me?.role === 'admin' && session?.role === 'admin' ? '#all' : '#mine'}>
      ${icon('back')}${t(session?.role === 'admin' ? 'project.back-all' : 'project.back')}
    </a>
    ${session && mayManage(session) ? html`<${Whole} session=${session} ...${props} />`
      : items ? html`<${Gone} />`
        : problem ? html`<${Failed} title=${t('desktops.unread')} problem=${problem} onRetry=${() => void actions.readSessions()} />`
          : html`<div class="project-head" aria-busy="true" aria-label=${t('desktops.reading')}><span class="bone" /></div>`}
  </main>`;
}

const Gone = () => html`<div class="empty">
  <span class="glyph">${icon('screen')}</span>
  <h1>${t('project.gone')}</h1>
  <p>${t('project.gone-hint')}</p>
  <a class="button" href="#mine">${t('project.to-list')}</a>
</div>`;

/** @param {OfOne} props */
function Whole(props) {
  const { session, model, actions } = props;
  const { id, state, role } = session;
  const can = offers(state);
  const isActing = model.acting.has(id);
  const kind = model.templates.find((template) => template.id === session.template);
  const act = (/** @type {keyof typeof import('./icons.js').ICONS} */ glyph, /** @type {import('../words.js').TextKey} */ word, /** @type {() => void} */ go) => (
    html`<button type="button" class="button" disabled=${isActing} onClick=${go}>${icon(glyph)}${t(word)}</button>`);
  return [
    html`<div key="head" class="project-head">
      <div class="project-title">
        <h1>${titled(session)}</h1>
        <${IconButton} label=${t('project.rename')} icon="pen" disabled=${isActing} onClick=${() => actions.openRename(id)} />
      </div>
      <span class="state" data-tone=${stateTone(state)}>${icon(`state-${stateTone(state)}`)}${stateSentence(session)}</span>
    </div>`,
    html`<div key="body" class="project-body">
      <div class="project-side">
        <div class="desk big" data-tone=${stateTone(state)} data-session=${id} data-state=${state}>
          <${Screen} session=${session} actions=${actions} />
          ${state === 'failed' && session.reason && html`<p class="reason">${session.reason}</p>`}
          ${state === 'queued' && html`<p class="note">${t('line.hint')}</p>`}
          <div class="desk-actions">
            <${Main} session=${session} actions=${actions} isActing=${isActing} />
            ${act('share', 'project.share', () => actions.openShare(id))}
            ${can.stop && act('stop', 'project.stop', () => actions.openStop(id))}
            ${can.open && act('update', 'project.restart', () => actions.openRestart(id))}
            ${session.can_pause && can.pause && act('pause', 'project.pause', () => void actions.pause(id))}
            ${role === 'owner' && act('copy', 'project.duplicate', () => actions.openDuplicate(id))}
          </div>
        </div>
        <${People} ...${props} />
        <${Apps} ...${props} />
        <${Logs} session=${session} actions=${actions} />
        <${About} session=${session} model=${model} kind=${kind} actions=${actions} />
      </div>
      <div class="project-side">
        <${Facts} ...${props} />
        <${Files} ...${props} />
        <${Parts} ...${props} />
        <${Danger} ...${props} />
      </div>
    </div>`,
    html`<${OwnTemplate} key="template ${id}" session=${session} model=${model} actions=${actions} />`,
  ];
}

/** @param {string} id @param {import('../words.js').TextKey} title @param {...Child} children */
const panel = (id, title, ...children) => html`<section class="panel rows" aria-labelledby="p-${id}">
  <h2 id="p-${id}">${t(title)}</h2>${children}
</section>`;

/** @param {OfOne} props */
function Facts({ session, model }) {
  const { usage, role, owner, created_at: made } = session;
  const up = usage?.since ? span(Math.max((model.now - Date.parse(usage.since)) / 1000, 0)) : null;
  return panel('facts', 'project.facts', html`<dl class="facts">
    ${fact('project.kind', kindOf(session, model))}
    ${role === 'admin' && fact('project.owner', called(owner))}
    ${fact('project.made', since(made, model.now))}
    ${up !== null && fact('project.up', up)}
    ${usage && fact('project.memory', told(usage.memory_bytes, amount))}
    ${usage && fact('project.cpu', told(usage.cpu_percent, (percent) => t('project.cpu-value', { percent })))}
  </dl>`);
}

/** @param {import('../words.js').TextKey} name @param {string} value */
const fact = (name, value) => html`<div key=${name}><dt>${t(name)}</dt><dd>${value}</dd></div>`;

/** @param {number | null} value @param {(value: number) => string} say */
const told = (value, say) => (value === null ? t('project.unknown') : say(value));

/** @param {OfOne} props */
function People({ session, model, actions }) {
  const people = model.people ?? [];
  return panel('people', 'project.people', session.viewers === 0 || people.length === 0
    ? html`<p class="soft">${t('project.nobody')}</p>`
    : html`<${Viewers} viewers=${people} session=${session.id} mayHand actions=${actions} />`);
}

/** @param {OfOne} props */
function Apps({ session, model, actions }) {
  const { apps = [], left_out: missing = [] } = session;
  if (apps.length + missing.length === 0) return null;
  const runs = session.state === 'running';
  return panel('apps', 'project.apps',
    !runs && html`<p class="soft">${t('project.apps-rest')}</p>`,
    html`<ul class="apps">${apps.map((app) => html`<li key=${app.name}>
      <span class="row-main">
        <b class="clip">${app.title}</b>
        <span class="soft">${[t(`app.${app.state}`), app.reason].filter(Boolean).join(': ')}</span>
      </span>
      ${runs && app.state === 'running' && app.ports?.flatMap((port) => [html`<${IconButton}
        key="share ${port}" label=${t('page.share-name', { name: app.title, port })} icon="share" onClick=${() => actions.openSharePage(session.id, port)}
      />`, html`<a
        key=${port} class="button small" href=${actions.preview(session.id, port)} target="_blank" rel="noopener"
        aria-label=${t('project.preview-name', { name: app.title, port })} title=${t('project.preview-hint', { port })}
      >${t('project.preview', { port })}</a>`])}
      ${runs && toggle(app, session, model, actions)}
    </li>`)}</ul>`,
    ...missing.map(({ app, why }) => html`<p key="without ${app}" class="hint warn">${t(why === 'room' ? 'project.no-room' : 'project.no-name', { app })}</p>`));
}

/** @param {App} app @param {Session} session @param {Model} model @param {Actions} actions */
function toggle(app, session, model, actions) {
  const isOpen = app.state === 'running' || app.state === 'starting';
  const label = t(isOpen ? 'project.close-app-name' : 'project.open-app-name', { name: app.title });
  return html`<button
    type="button" class="button small" disabled=${model.acting.has(`${session.id} ${app.name}`)} aria-label=${label}
    onClick=${() => void actions.setApp(session.id, app.name, !isOpen)}
  >${t(isOpen ? 'project.close-app' : 'project.open-app')}</button>`;
}

/** @param {OfOne} props */
function Files({ session }) {
  const { storage, role, owner } = session;
  if (!storage) return null;
  const isFull = storage.data.full || storage.home.full || storage.apps.full;
  return panel('files', 'project.storage',
    html`<p class="soft">${role === 'owner' ? t('project.storage-hint') : t('project.storage-hint-other', { name: called(owner) })}</p>`,
    meter('project.data', storage.data), meter('project.home', storage.home),
    // Where desktops have no apps, there is nothing to tell of them.
    (storage.apps.limit_bytes !== null || storage.apps.used_bytes > 0) && meter('project.app-homes', storage.apps),
    isFull && html`<p class="hint warn">${t('project.storage-full')}</p>`,
    !storage.enforced && storage.data.limit_bytes !== null && html`<p class="hint">${t('project.storage-soft')}</p>`);
}

/** @param {import('../words.js').TextKey} name @param {Held} held */
function meter(name, { used_bytes: used, limit_bytes: limit, full }) {
  const values = { used: amount(used), limit: amount(limit ?? 0) };
  const text = limit === null ? t('project.used', values) : t('project.used-of', values);
  return html`<div key=${name} class="meter">
    <span id="m-${name}">${t(name)}</span><span class="soft">${text}</span>
    ${limit !== null && html`<div
      class="meter-bar" role="meter" aria-labelledby="m-${name}" aria-valuemin=${0} aria-valuemax=${limit} aria-valuenow=${Math.min(used, limit)} aria-valuetext=${text} data-full=${String(full)}
    ><div style=${{ inlineSize: `${Math.min(used / Math.max(limit, 1), 1) * 100}%` }} /></div>`}
  </div>`;
}

/** @type {Readonly<Record<string, import('../words.js').TextKey>>} */
const PARTS = { xorg: 'part.xorg', dbus: 'part.dbus', api: 'part.api', desktop: 'part.desktop' };
/** @type {Readonly<Record<Usage['parts'][number]['state'], 'good' | 'busy' | 'still' | 'stop'>>} */
const TONES = { starting: 'busy', running: 'good', paused: 'still', ended: 'stop' };

/** @param {OfOne} props */
function Parts({ session: { usage, apps = [] } }) {
  if (!usage || usage.parts.length === 0) return null;
  const title = (/** @type {Usage['parts'][number]} */ { name, app }) => {
    const key = app ? undefined : PARTS[name];
    return key ? t(key) : apps.find((known) => known.name === name)?.title ?? name;
  };
  return panel('parts', 'project.parts',
    html`<p class="soft">${t('project.parts-hint')}</p>`,
    html`<ul>${usage.parts.map((part) => html`<li key="${part.app} ${part.name}">
      <span class="row-main"><b class="clip">${title(part)}</b></span>
      <span class="state" data-tone=${TONES[part.state]}>${icon(`state-${TONES[part.state]}`)}${t(`part.${part.state}`)}</span>
    </li>`)}</ul>`);
}

/** @param {OfOne} props */
function Danger({ session, model, actions }) {
  const { id, state } = session;
  const isActing = model.acting.has(id);
  return html`<section class="panel rows danger-zone" aria-labelledby="p-danger">
    <h2 id="p-danger">${t('project.danger')}</h2>
    <ul>
      <li>
        <span class="row-main"><b>${t('project.reset-title')}</b><span class="soft">${t('project.reset-text')}</span></span>
        <button type="button" class="button small danger" disabled=${isActing || !offers(state).reset} onClick=${() => actions.openReset(id)}>${t('project.reset')}</button>
      </li>
      <li>
        <span class="row-main"><b>${t('project.delete-title')}</b><span class="soft">${t('project.delete-text')}</span></span>
        <button type="button" class="button small danger" disabled=${isActing} onClick=${() => void actions.remove(id)}>${t('project.delete')}</button>
      </li>
    </ul>
  </section>`;
}
