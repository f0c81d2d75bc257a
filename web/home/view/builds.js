/** Images that somebody builds on the machine, for administrators to watch. Nothing here starts a build. */

import { builder, done, failure, how, what, where } from '../builds.js';
import { html } from '../html.js';
import { t } from '../words.js';
import { icon } from './parts.js';

/** @import { Build } from '../types.js' */

/** On the machine's page: those that go on, then those that came to nothing. @param {{ builds: readonly Build[] }} props */
export const Builds = ({ builds }) => html`<div class="builds">
  ${builds.map((build, at) => {
    // Two people may build the same.
    const key = `${at} ${build.image}`;
    return build.state === 'running' ? html`<${Running} key=${key} build=${build} />` : html`<${Failed} key=${key} build=${build} />`;
  })}
</div>`;

/** @param {{ build: Build }} props */
const Running = ({ build }) => html`<div class="build" data-image=${build.image}>
  <p>
    <span class="build-what">${icon('state-busy')}<b role="status">${what(build)}</b></span>
    <span class="soft">${how(build)}</span>
  </p>
  <progress aria-label=${what(build)} ...${done(build)} />
</div>`;

/** @param {{ build: Build }} props */
function Failed({ build }) {
  const { text, remedy } = failure(build);
  return html`<div class="backups-failed" data-image=${build.image}>
    <span class="state" data-tone="stop">${icon('alert')}</span>
    <span><b>${text}</b><span class="remedy">${remedy}</span></span>
  </div>`;
}

/** Where an image is missed: those of them that somebody builds already, as far as events told. For how long, they do not. @param {{ builds: readonly Build[], images: readonly string[] }} props */
export const Coming = ({ builds, images }) => images.flatMap((image) => builder(builds, image) ?? []).map((build) => (
  html`<span key=${build.image} class="progress" data-image=${build.image}>
    <small>${t('new.lacks-building')}${' '}${what(build)}, ${where(build)}</small>
    <progress aria-label=${what(build)} ...${done({ ...build, number: 1, of: 1 })} />
  </span>`));
