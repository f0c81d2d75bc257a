// @ts-check
/** The double's catalogue: apps that are installed in steps which a test takes. */

import { Refusal } from './double.mjs';

/** @typedef {import('../../../web/home/apps.js').CatalogueApp} App */
/** @typedef {import('../../../web/home/apps.js').Power} Power */
/** @typedef {import('../../../web/home/apps.js').Audience} Audience */
/** @typedef {import('../../../web/home/apps.js').Offer} Offer */
/** @typedef {{ -readonly [K in keyof App]: App[K] }} Mutable */

/** @type {Readonly<Record<string, Power>>} */
export const POWERS = {
  network: { what: 'network', text: 'can use the network', about: [], risky: true },
  write: { what: 'write-data', text: 'can read and change your files', about: [], risky: true },
  display: { what: 'display', text: 'can show windows', about: [], risky: true },
  clipboard: { what: 'clipboard', text: 'can read and change the clipboard', about: [], risky: false },
  ports: { what: 'ports', text: 'offers pages', about: ['8000'], risky: false },
  other: { what: 'newer', text: 'can do what only newer servers know', about: [], risky: false },
};

/** @param {string} version @param {string} digit @param {readonly Power[]} powers @returns {Offer} */
export const offer = (version, digit, powers) => ({
  edition: `${version}-${digit}`, version, license: 'GPL-3.0-or-later', source: 'https://draw.example/releases', size_bytes: 327_155_712,
  memory_bytes: 536_870_912, image: 'registry.example/draw', digest: `sha256:${digit.repeat(64)}`, powers,
});

export class Shop {
  /** @type {import('../../../web/home/apps.js').Catalogue[]} */
  catalogues = [];
  /** @type {Mutable[]} */
  apps = [];
  /** @type {{ catalogue: string, app: string, for: Audience, done_bytes: number, total_bytes: number, error: string | null, by: string }[]} */
  pulls = [];
  isOpen = false;
  revision = 0;
  /** @type {string | null} */
  obstacle = null;

  /** @param {import('./double.mjs').User} user */
  seen(user) {
    const isAdmin = user.role === 'admin';
    return {
      catalogues: this.catalogues, apps: this.apps, pulls: this.pulls, may_install: isAdmin || this.isOpen, may_install_for_all: isAdmin, obstacle: this.obstacle,
    };
  }

  get told() {
    return { revision: this.revision, pulls: this.pulls };
  }

  /** @param {Mutable} app @param {Audience} audience @param {string} by */
  install(app, audience, by) {
    const key = audience === 'me' ? 'mine' : 'everybody';
    const was = app[key];
    const { version, digest, powers } = /** @type {Offer} */ (app.offer);
    const previous = was && { version: was.version, digest: was.digest, adds: [] };
    app[key] = { version, digest, powers, update: false, adds: [], previous, by, at: new Date().toISOString() };
    this.revision += 1;
  }

  /** A newer edition is in the catalogue. @param {Mutable} app @param {Offer} next */
  publish(app, next) {
    app.offer = next;
    for (const key of /** @type {const} */ (['mine', 'everybody'])) {
      const has = app[key];
      if (has) app[key] = { ...has, update: true, adds: next.powers.filter(({ what }) => !has.powers.some((power) => power.what === what)) };
    }
    this.revision += 1;
  }
}

/** @param {import('./double-api.mjs').Call} call @param {import('./double.mjs').User} user */
function found({ double, parts }, user) {
  const [catalogue, name, whose] = parts;
  const app = double.shop.apps.find((one) => one.catalogue === catalogue && one.app === name);
  if (!app) throw new Refusal(404, 'Not found', 'there is no such app');
  const isAdmin = user.role === 'admin';
  if (whose === 'everybody' ? !isAdmin : !isAdmin && !double.shop.isOpen) throw new Refusal(403, 'Not allowed', 'only administrators install apps here');
  return { app, audience: /** @type {Audience} */ (whose === 'mine' ? 'me' : 'all'), key: /** @type {'mine' | 'everybody'} */ (whose) };
}

/** @param {import('./double-api.mjs').Call} call */
function asker({ login }) {
  if (!login?.user) throw new Refusal(401, 'Not signed in', 'sign in first');
  return login.user;
}

/** @type {[string, (call: import('./double-api.mjs').Call) => import('./double-api.mjs').Answer][]} */
export const catalogueRoutes = [
  ['GET catalogue', (call) => [200, call.double.shop.seen(asker(call))]],
  ['POST catalogue/{}/{}/{}', (call) => {
    const user = asker(call);
    const { app, audience } = found(call, user);
    const { shop } = call.double;
    if (call.body.edition !== app.offer?.edition) throw new Refusal(409, 'Not possible now', 'the catalogue has another edition; look at it again');
    shop.pulls = shop.pulls.filter((pull) => pull.app !== app.app || pull.for !== audience);
    shop.pulls.push({ catalogue: app.catalogue, app: app.app, for: audience, done_bytes: 0, total_bytes: app.offer?.size_bytes ?? 0, error: null, by: user.display_name });
    call.double.tellShop();
    return [202];
  }],
  ['POST catalogue/{}/{}/{}/rollback', (call) => {
    const { app, key } = found(call, asker(call));
    const has = app[key];
    if (!has?.previous) throw new Refusal(404, 'Not found', 'there is nothing to go back to');
    const { version, digest } = has.previous;
    app[key] = { ...has, version, digest, update: true, previous: { version: has.version, digest: has.digest, adds: [] } };
    call.double.shop.revision += 1;
    call.double.tellShop();
    return [204];
  }],
  ['DELETE catalogue/{}/{}/{}', (call) => {
    const { app, key } = found(call, asker(call));
    app[key] = null;
    call.double.shop.revision += 1;
    call.double.tellShop();
    return [204];
  }],
];
