/** Images that somebody builds on the machine, in words and as a bar. Pure. */

import { since, t } from './words.js';

/** @import { Build } from './types.js' */

const MINUTE = 60;

/** What is being built, which changes seldom enough to be read aloud. @param {Build} build */
export const what = ({ image, number, of }) => (
  number > 0 && of > 1 ? t('builds.building-of', { image, number, of }) : t('builds.building', { image }));

/** How far it is. @param {Build} build */
export const where = ({ step, steps }) => (step > 0 ? t('builds.step', { step, steps }) : t('builds.no-step'));

/** The same with for how long, which changes by the second. @param {Build} build */
export function how(build) {
  const { seconds } = build;
  const span = seconds < MINUTE ? t('builds.seconds', { count: seconds })
    : t('builds.minutes', { minutes: Math.floor(seconds / MINUTE), seconds: seconds % MINUTE });
  return t('builds.for', { where: where(build), span });
}

/** Of all images that are built one after the other, in images: those that are done, and the part of this one. @param {Build} build */
export function done({ number, of, step, steps }) {
  const part = step > 0 && steps > 0 ? (step - 1) / steps : 0;
  return { value: Math.max(number - 1, 0) + (number > 0 ? part : 0), max: Math.max(of, 1) };
}

/** What became of it, and where to read why. @param {Build} build */
export const failure = ({ image, seconds }) => ({
  text: t('builds.failed', { image, since: since(new Date(0).toISOString(), seconds * 1000) }),
  remedy: t('builds.failed-how', { log: `target/images/${image.replace(/^lattice\//, '').replace(/:.*/, '')}.log` }),
});

/** The one that builds this image at this moment. @param {readonly Build[]} builds @param {string} image */
export const builder = (builds, image) => builds.find((build) => build.state === 'running' && build.image === image) ?? null;
