/** Images that somebody builds on the machine, for administrators to watch. Nothing here starts a build. */

import { h } from '../../vendor/preact/preact.mjs';
import { builder, done, failure, how, what, where } from '../builds.js';
import { t } from '../words.js';
import { icon } from './parts.js';

/** @import { Build } from '../types.js' */

/** On the machine's page: those that go on, then those that came to nothing. @param {{ builds: readonly Build[] }} props */
export const Builds = ({ builds }) => h('div', { class: 'builds' },
  ...builds.map((build) => (build.state === 'running' ? h(Running, { key: build.image, build }) : h(Failed, { key: `failed ${build.image}`, build }))));

/** @param {{ build: Build }} props */
const Running = ({ build }) => h('div', { class: 'build', 'data-image': build.image },
  h('p', null,
    h('span', { class: 'build-what' }, icon('state-busy'), h('b', { role: 'status' }, what(build))),
    h('span', { class: 'soft' }, how(build))),
  h('progress', { 'aria-label': what(build), ...done(build) }));

/** @param {{ build: Build }} props */
function Failed({ build }) {
  const { text, remedy } = failure(build);
  return h('div', { class: 'backups-failed', 'data-image': build.image },
    h('span', { class: 'state', 'data-tone': 'stop' }, icon('alert')),
    h('span', null, h('b', null, text), h('span', { class: 'remedy' }, remedy)));
}

/** Where an image is missed: those of them that somebody builds already, as far as events told. For how long, they do not. @param {{ builds: readonly Build[], images: readonly string[] }} props */
export const Coming = ({ builds, images }) => images.flatMap((image) => builder(builds, image) ?? []).map((build) => (
  h('span', { key: build.image, class: 'progress', 'data-image': build.image },
    h('small', null, t('new.lacks-building'), ' ', what(build), ', ', where(build)),
    h('progress', { 'aria-label': what(build), ...done({ ...build, number: 1, of: 1 }) }))));
