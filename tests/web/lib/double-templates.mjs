// @ts-check
/** What the double says of desktops' templates. */

import { Refusal } from './double.mjs';

/** @typedef {import('./double-api.mjs').Call} Call */
/** @typedef {import('./double-api.mjs').Answer} Answer */
/** @typedef {import('./double.mjs').Session} Session */

export const TEMPLATE = `name: desktop
services:
  code: { image: lattice/vscode-golang, mem_limit: 1g }
x-lattice:
  title: Plain desktop
  apps:
    code: { title: VS Code, icon: vscode }
  permissions:
    code: { display: true, clipboard: true, data: write }
`;

/** All versions, the oldest first. @param {Session} one */
const versionsOf = (one) => one.versions ?? [{ number: 0, author: null, created_at: one.created_at, note: '', text: TEMPLATE }];

/** @param {Session} one */
const newest = (one) => /** @type {import('./double.mjs').Version} */ (versionsOf(one).at(-1));

/** Whoever it is applies one. @param {Session} one @param {string} text @param {string} author @param {string} [note] */
export function addVersion(one, text, author, note = '') {
  const number = newest(one).number + 1;
  one.versions = [...versionsOf(one), { number, author, created_at: new Date().toISOString(), note, text }];
  return number;
}

/** @param {Call} call @param {Session} one */
const mayEdit = ({ login, double }, one) => login?.user?.role === 'admin' || (double.ownersEdit && one.owner === login?.user);

/** @param {Call} call @param {Session} one */
function seen(call, one) {
  const { number, text } = newest(one);
  return { base: one.template, version: number, text, readme: /^ {2}readme: '?([^'\n]*)'?$/m.exec(text)?.[1] ?? '', running: one.state === 'running' ? (one.made_of ?? 0) === number : null, may_edit: mayEdit(call, one), has_apps: true };
}

/** @param {string} text */
const faults = (text) => text.split('\n').flatMap((line, at) => (/privileged|mem_limit: x/.test(line)
  ? [{ line: at + 1, place: 'services.code', message: line.includes('privileged') ? 'is refused: it is not a template’s to say' : 'is wrong: "x" is no size' }] : []));

/** @param {Call} call @param {Session} one @param {string} text @param {string} note @returns {Answer} */
function apply(call, one, text, note) {
  const { double, body } = call;
  if (!mayEdit(call, one)) throw new Refusal(403, 'Not allowed', 'only administrators change what a desktop is made of on this server; ask one of them');
  if (body.based_on !== newest(one).number) throw new Refusal(409, 'Not possible now', `somebody else applied version ${newest(one).number} meanwhile`);
  one.made_of ??= newest(one).number;
  addVersion(one, text, call.login?.user?.display_name ?? '', note);
  const restarted = body.restart === true && one.state === 'running';
  if (restarted) {
    one.made_of = newest(one).number;
    double.startSoon(one);
  } else double.tell(one);
  return [200, { template: seen(call, one), snapshot: '0123456789abcdef0123', restarted }];
}

/** @param {(call: Call) => Session} session the one that a call is about @returns {[string, (call: Call) => Answer][]} */
export function templateRoutes(session) {
  return [
    ['GET sessions/{}/template', (call) => [200, seen(call, session(call))]],
    ['POST sessions/{}/template/check', (call) => (session(call), [200, { faults: faults(call.body.text) }])],
    ['PUT sessions/{}/template', (call) => apply(call, session(call), call.body.text, call.body.note ?? '')],
    ['GET sessions/{}/template/versions', (call) => [200, { versions: versionsOf(session(call)).map(({ text, ...version }) => version).reverse() }]],
    ['GET sessions/{}/template/versions/{}', (call) => {
      const found = versionsOf(session(call)).find(({ number }) => String(number) === call.parts[1]);
      if (!found) throw new Refusal(404, 'Not found', 'there is no such version');
      return [200, found];
    }],
    ['POST sessions/{}/template/versions/{}/restore', (call) => {
      const one = session(call);
      const found = versionsOf(one).find(({ number }) => String(number) === call.parts[1]);
      if (!found) throw new Refusal(404, 'Not found', 'there is no such version');
      return apply(call, one, found.text, `Version ${found.number} again`);
    }],
  ];
}
