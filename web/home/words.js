/** What things are called, and how long is left of them. Pure. */

import { place } from '../client/line.js';
import { MORE } from './texts.js';

/** @import { LinkRole, Session, SessionState, Standing } from './types.js' */

/** @typedef {'good' | 'busy' | 'still' | 'stop'} Tone */

/** @type {Readonly<Record<SessionState, { word: string, tone: Tone }>>} */
const STATES = {
  requested: { word: 'Starting', tone: 'busy' },
  queued: { word: 'Waiting for a place', tone: 'busy' },
  starting: { word: 'Starting', tone: 'busy' },
  running: { word: 'Running', tone: 'good' },
  idle: { word: 'Paused', tone: 'good' },
  stopping: { word: 'Stopping', tone: 'busy' },
  stopped: { word: 'Stopped', tone: 'still' },
  failed: { word: 'Could not start', tone: 'stop' },
};
/** For states that a newer server may have. */
const UNKNOWN = Object.freeze({ word: 'Changing', tone: /** @type {Tone} */ ('busy') });

/** @param {SessionState} state */
const described = (state) => STATES[state] ?? UNKNOWN;

/** @param {SessionState} state */
export const stateWord = (state) => described(state).word;

/** The same with its place in line, where it waits. @param {Pick<Session, 'state' | 'queue'>} session */
export const stateSentence = ({ state, queue }) => (
  queue ? `${stateWord(state)}: ${place({ position: queue.position, etaS: queue.eta_s })}` : stateWord(state));

/** @param {SessionState} state */
export const stateTone = (state) => described(state).tone;

/** What a person can do with a desktop as it is. @param {SessionState} state */
export function offers(state) {
  const isUp = state === 'running' || state === 'idle';
  const isRest = state === 'stopped' || state === 'failed';
  return {
    open: isUp, start: isRest, stop: !isRest && state !== 'stopping',
    pause: state === 'running', reset: isUp || isRest,
  };
}

/** @type {Readonly<Record<LinkRole, { title: string, text: string }>>} */
export const LINK_ROLES = {
  view: { title: 'View', text: 'Sees the desktop and touches nothing.' },
  assist: { title: 'Assist', text: 'Sees the desktop and points at things.' },
  control: { title: 'Control', text: 'Can also work in it, when control is handed over.' },
};

/** @type {Readonly<Record<Standing, string>>} */
const STANDINGS = {
  owner: 'Owner', admin: 'Administrator', view: 'You can watch', assist: 'You can point', control: 'You can take control',
};

/** What somebody is to a desktop, said to them. @param {Standing} role */
export const standing = (role) => STANDINGS[role] ?? '';

/** @import { SnapshotCause, SnapshotKind } from './kept.js' */

/** @type {Readonly<Record<SnapshotKind, string>>} */
export const SNAPSHOT_KINDS = {
  btrfs: 'The disk itself keeps it, all of it at the same instant.',
  repository: 'It is copied, and the desktop stands still for a moment meanwhile.',
};

/** @type {Readonly<Record<SnapshotCause, string>>} */
export const SNAPSHOT_CAUSES = {
  schedule: 'By itself', asked: 'Asked for', reset: 'Before a reset', restore: 'Before a restore', template: 'Before a change of the template',
  desktop: 'Asked for on the desktop',
};

/** @param {number} count @param {string} one @param {string} many */
export const counted = (count, one, many) => `${count} ${count === 1 ? one : many}`;

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span in its largest unit, rounded. @param {number} seconds */
export function span(seconds) {
  if (seconds < MINUTE) return 'less than a minute';
  if (Math.round(seconds / MINUTE) < 60) return counted(Math.round(seconds / MINUTE), 'minute', 'minutes');
  if (Math.round(seconds / HOUR) < 24) return counted(Math.round(seconds / HOUR), 'hour', 'hours');
  return counted(Math.round(seconds / DAY), 'day', 'days');
}

/** How long a link still works. @param {string} expiresAt RFC 3339 @param {number} now ms */
export function left(expiresAt, now) {
  const seconds = (Date.parse(expiresAt) - now) / 1000;
  if (Number.isNaN(seconds)) return '';
  return seconds <= 0 ? 'has expired' : `${span(seconds)} left`;
}

/** When something was made. @param {string} at RFC 3339 @param {number} now ms */
export function since(at, now) {
  const seconds = (now - Date.parse(at)) / 1000;
  if (Number.isNaN(seconds)) return '';
  return seconds < MINUTE ? 'just now' : `${span(seconds)} ago`;
}

/** @param {{ uses: number, max_uses: number | null }} link */
export const used = ({ uses, max_uses: most }) => (
  most === null ? `used ${counted(uses, 'time', 'times')}` : `used ${uses} of ${counted(most, 'time', 'times')}`);

const UNITS = Object.freeze(['bytes', 'KB', 'MB', 'GB', 'TB']);

/** How much that is, for a person: `1.4 GB`. @param {number} bytes */
export function amount(bytes) {
  const at = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** at;
  return `${at === 0 || value >= 100 ? Math.round(value) : Math.round(value * 10) / 10} ${UNITS[at]}`;
}

/** Two letters that stand for a person. @param {string} name */
export function initials(name) {
  const words = name.trim().split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0] ?? '?'];
  return letters.map((word) => [...(word ?? '')][0] ?? '').join('').toUpperCase();
}

const WALLPAPERS = 4;

/** The same for a desktop wherever it is shown, so that people know theirs by it. @param {string} id */
export const wallpaper = (id) => [...id].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973, 7) % WALLPAPERS;

/** What views say, by key, so that it can be said in another language. */
const TEXT = Object.freeze({
  'search.label': 'Search desktops',
  'search.hint': 'Search',
  'search.none': 'No desktop matches “{query}”',
  'search.none-hint': 'Names, kinds of desktop and names of people are looked through.',
  'search.clear': 'Show all',
  'search.found': '{shown} of {all} desktops match',
  'new.title': 'New desktop',
  'new.name': 'Name',
  'new.example': 'Maths project',
  'new.name-hint': 'Only to tell it from others. You may leave it empty.',
  'new.kind': 'What is on it',
  'new.origin': 'Begin with',
  'new.from-nothing': 'My Data as it is',
  'new.from-git': 'A Git address',
  'new.from-zip': 'A zip file',
  'new.url': 'Address of the repository',
  'new.url-example': 'https://git.example/ada/shop.git',
  'new.url-hint': 'One that everybody may read, on a public server. Its newest state becomes a new folder in your Data.',
  'new.zip': 'Zip file',
  'new.zip-hint': 'Up to 256 MB. It is unpacked into a new folder in your Data.',
  'new.no-file': 'Choose a zip file first',
  'new.too-large': 'The zip file is larger than 256 MB. Leave out what can be had anew, such as installed packages',
  'new.sending': 'Sending: {sent} of {total}',
  'new.unpacking': 'Looking through it and unpacking…',
  'new.cloning': 'Cloning. This takes two minutes at most…',
  'new.progress': 'Files of the new desktop',
  'new.made-only': 'The files are in your Data already, in the folder {folder}. Only the desktop is missing.',
  'new.imported': 'The files are in Data, in the folder {folder}',
  'new.with-files': 'Begin with files of your own…',
  'new.go': 'Start',
  'new.busy': 'Starting…',
  'new.stop': 'Stop',
  'new.cancel': 'Cancel',
  'line.hint': 'The machine is full at the moment. It starts by itself, also when you close this page.',
  'line.place': '{ordinal} in line',
  'more.details': 'Details',
  'more.pause': 'Pause',
  'more.restart': 'Restart…',
  'more.rename': 'Rename…',
  'more.duplicate': 'Duplicate…',
  'more.snapshots': 'Snapshots…',
  'more.reset': 'Reset…',
  'restart.title': 'Restart {name}?',
  'restart.text': 'Its programs are closed, and what is not saved in them is lost. Files and settings stay.',
  'restart.verb': 'Restart',
  'rename.title': 'Rename {name}',
  'rename.label': 'Name',
  'rename.verb': 'Save',
  'rename.busy': 'Saving…',
  'rename.done': 'It is called {name} now',
  'duplicate.title': 'Duplicate {name}',
  'duplicate.label': 'Name of the new desktop',
  'duplicate.text': 'You get a second desktop made of the same, with nothing open and no links. Your files and settings are in both: they belong to you, not to one desktop. What you change in Data in one, you see in the other.',
  'duplicate.name': '{name} (2)',
  'duplicate.verb': 'Duplicate',
  'duplicate.busy': 'Starting…',
  'bin.done': '{name} is deleted',
  'bin.undo': 'Undo',
  'bin.back': '{name} is back',
  'bin.title': 'Recently deleted',
  'bin.hint': 'Nothing of them is lost yet. Bring one back and it is as it was, with its links.',
  'bin.until': 'Gone for good in {span}',
  'bin.programs': 'Brought back within {span}, what is open in it is still open',
  'bin.recover': 'Bring back',
  'bin.recover-name': 'Bring back {name}',
  'bin.delete': 'Delete now…',
  'bin.delete-name': 'Delete now: {name}',
  'forget.title': 'Delete {name} for good?',
  'forget.text': 'The desktop and its links are gone, and what is open in it is lost. This cannot be undone. Your files and Data stay.',
  'forget.verb': 'Delete for good',
  'forget.done': '{name} is gone for good',
  'project.back': 'My desktops',
  'project.back-all': 'All desktops',
  'project.gone': 'This desktop is not here',
  'project.gone-hint': 'It was deleted, or it is no longer shared with you. What was deleted lately can be brought back from the list of your desktops.',
  'project.to-list': 'To my desktops',
  'project.facts': 'At a glance',
  'project.state': 'State',
  'project.up': 'Running for',
  'project.memory': 'Memory',
  'project.cpu': 'Processor',
  'project.cpu-value': '{percent} % of one core',
  'project.kind': 'Kind',
  'project.owner': 'Belongs to',
  'project.made': 'Made',
  'project.unknown': 'Not measured yet',
  'project.people': 'Who is there',
  'project.nobody': 'Nobody looks at it now.',
  'project.apps': 'Apps',
  'project.apps-rest': 'Start the desktop to open them.',
  'project.preview': 'See port {port}',
  'project.preview-name': 'See port {port} of {name}',
  'project.preview-hint': 'The pages of a program that listens on port {port}, in a tab of their own',
  'project.open-app': 'Open',
  'project.open-app-name': 'Open {name} on the desktop',
  'project.close-app': 'Close',
  'project.close-app-name': 'Close {name}',
  'project.parts': 'Containers',
  'project.parts-hint': 'What this desktop is made of. Each runs apart from the others.',
  'project.storage': 'Files',
  'project.storage-hint': 'Your files belong to you and are the same on all of your desktops.',
  'project.storage-hint-other': 'These files belong to {name} and are the same on all of their desktops.',
  'project.storage-full': 'Almost full: delete what is not needed, or ask an administrator for more.',
  'project.storage-soft': 'The limits are not enforced on this server.',
  'project.data': 'Data',
  'project.home': 'Home and settings',
  'project.app-homes': 'Files of apps',
  'project.used': '{used}',
  'project.used-of': '{used} of {limit}',
  'project.readme': 'About this kind of desktop',
  'template.title': 'Template',
  'template.hint': 'What this desktop is made of, and what its apps may do.',
  'template.read-only': 'Administrators change it on this server.',
  'template.reading': 'Reading the template…',
  'template.unread': 'The template could not be read',
  'template.gone': 'This server has no template {name} any more. The desktop cannot start as it is.',
  'template.gone-edit': 'This server has no template {name} any more. Write one here, and the desktop can start again.',
  'template.as-server': 'As this server has it',
  'template.version': 'Version {number}',
  'template.later': 'The desktop that runs is made of an earlier version. This one holds from its next start on.',
  'template.editor': 'Template, as YAML',
  'template.keys': 'Tab indents. To leave with the keyboard, press Esc, then Tab.',
  'template.good': 'Nothing is wrong with it',
  'template.checking': 'Looking through it…',
  'template.unchecked': 'It could not be looked through; it is when you apply it.',
  'template.faults': '{count} things are wrong',
  'template.fault': '1 thing is wrong',
  'template.line': 'Line {line}',
  'template.whole': 'As a whole',
  'template.review': 'Review changes…',
  'template.drop': 'Discard changes',
  'template.overtaken': 'Somebody else applied version {number} meanwhile. What you wrote is still here.',
  'template.keep': 'Go on with mine',
  'template.take': 'Take theirs',
  'template.review-title': 'What changes',
  'template.back-title': 'Roll back to version {number}?',
  'template.look-title': 'Version {number} and now',
  'template.diff': 'Lines that differ',
  'template.gone-line': 'Removed',
  'template.new-line': 'Added',
  'template.count': '{fresh} added, {gone} removed',
  'template.same': 'Both say the same.',
  'template.snapshot': 'A snapshot of Data is made first.',
  'template.runs': 'The desktop runs. If it restarts now, its programs are closed, and what is not saved in them is lost. Else this holds from its next start on.',
  'template.rests': 'The desktop does not run: this holds from its next start on.',
  'template.note': 'Note',
  'template.note-hint': 'Why, for whoever looks at the versions. You may leave it empty.',
  'template.apply': 'Apply',
  'template.apply-restart': 'Apply and restart',
  'template.back': 'Roll back',
  'template.back-restart': 'Roll back and restart',
  'template.busy': 'Making a snapshot and applying…',
  'template.applied': 'Version {number} is applied',
  'template.applied-restart': 'Version {number} is applied, and the desktop restarts',
  'template.applied-only': 'Version {number} is applied, but the desktop could not be restarted. Restart it yourself',
  'template.versions': 'Versions',
  'template.no-versions': 'It was never changed.',
  'template.by': '{author}, {when}',
  'template.first': 'Before the first change',
  'template.current': 'Now',
  'template.compare': 'Compare',
  'template.compare-name': 'Compare version {number} with now',
  'template.restore': 'Roll back…',
  'template.restore-name': 'Roll back to version {number}…',
  'template.cancel': 'Cancel',
  'template.close': 'Close',
  'project.danger': 'Danger zone',
  'project.reset-title': 'Reset',
  'project.reset-text': 'All settings become as they were at first. Files in Data stay.',
  'project.delete-title': 'Delete',
  'project.delete-text': 'It can be brought back for 7 days.',
  'project.rename': 'Rename',
  'project.duplicate': 'Duplicate',
  'project.share': 'Share',
  'project.stop': 'Stop',
  'project.restart': 'Restart',
  'project.pause': 'Pause',
  'project.reset': 'Reset…',
  'project.delete': 'Delete',
  'machine.title': 'Machine',
  'machine.up': 'Lattice {version}, up for {span}',
  'machine.old': 'What you see may be old',
  'machine.measuring': 'Measuring the machine',
  'machine.desktops': 'Desktops',
  'machine.running': '{count} run',
  'machine.running-one': '1 runs',
  'machine.viewers': '{count} people look',
  'machine.viewers-one': '1 person looks',
  'machine.cpu': 'Processors',
  'machine.load': 'Load {load} on {cores}',
  'machine.pressure': 'Something waits {percent} % of the time',
  'machine.memory': 'Memory',
  'machine.memory-desktops': '{amount} by desktops',
  'machine.disk': 'Disk',
  'machine.free': '{amount} free',
  'machine.checks': 'Checks',
  'machine.checking': 'Looking at engine, images, disk, certificates and clock…',
  'machine.unchecked': 'The machine could not be looked at',
  'machine.again': 'Look again',
  'machine.fault': 'Fault:',
  'machine.warning': 'Warning:',
  'machine.ok': 'Good:',
  'backups.title': 'Backups',
  'backups.now': 'Back up now',
  'backups.drill-now': 'Run a drill',
  'backups.reading': 'Looking at backups…',
  'backups.unread': 'It cannot be seen how backups are doing. Load the page again.',
  'backups.none': 'No backup is set up.',
  'backups.none-why': 'Everybody’s files are on this machine’s disks alone, and gone with them.',
  'backups.none-how': 'Add this to the configuration, and a password of your own to the file:',
  'backups.none-lines': 'Lines for the configuration',
  'backups.none-then': 'Then run lattice backup init once, and restart the server. OPERATIONS.md has the rest.',
  'backups.making': 'Making a backup, for {span}',
  'backups.making-of': 'Making a backup: {done} of {of} done, for {span}',
  'backups.drilling': 'A drill puts the last backup back and compares every file, for {span}',
  'backups.checking': 'The drill reads the whole repository, for {span}',
  'backups.failed': 'The last backup failed {since}',
  'backups.drill-failed': 'The last drill failed {since}',
  'backups.last': 'Last backup',
  'backups.never': 'None yet',
  'backups.last-what': '{people} people, {files} files, {amount}; {added} were new. It took {span}.',
  'backups.left-out': '{count} things could not be read or are no files.',
  'backups.moving': '{count} people’s desktops did not stand still.',
  'backups.drill': 'Last drill',
  'backups.no-drill': 'None yet',
  'backups.no-drill-why': 'Nobody has seen whether a backup can be put back.',
  'backups.drill-what': '{files} files, {amount}, had the hashes that the backup has, and the whole repository was read. It took {span}.',
  'backups.next': 'Next backup',
  'backups.in': 'In {span}',
  'backups.due': 'Due now',
  'backups.every': 'Every {every}. Drills are not planned: backup.drill_every.',
  'backups.every-both': 'Every {every}; a drill every {drill}.',
  'backups.unplanned': 'Not planned',
  'backups.unplanned-how': 'None is made by itself: backup.every says how often.',
  'backups.by-root': 'By root’s timer',
  'backups.by-root-how': 'This server may not read people’s files: systemctl list-timers lattice-backup says when.',
  'backups.where': 'Kept in',
  'backups.kind-directory': 'A directory',
  'backups.kind-sftp': 'Another machine, by SFTP',
  'backups.kind-s3': 'A bucket',
  'backups.seconds': '{count} s',
  'machine.places': 'Places and limits',
  'machine.ready': 'Ready ahead of time',
  'machine.ready-of': '{ready} of {wanted}',
  'machine.ready-none': 'None on this server',
  'machine.line': 'Waiting for a place',
  'machine.line-none': 'Nobody',
  'machine.line-some': '{count}, the last for about {span}',
  'machine.line-unknown': '{count}',
  'machine.starts': 'Desktops that start at a time',
  'machine.reserve': 'Memory kept free',
  'machine.most-viewers': 'People at one desktop',
  'machine.encoders': 'Films at a time',
  'machine.encoders-none': 'None: video is off',
  'machine.busiest': 'Desktops by memory',
  'machine.none-run': 'No desktop runs at the moment.',
  'machine.of-data': 'Data: {used} of {limit}',
  'machine.full': 'Almost full',
  'apps.title': 'Apps',
  'apps.hint': 'Desktops have them from their next start',
  'apps.reading': 'Reading the catalogues',
  'apps.unread': 'The catalogues could not be read',
  'apps.obstacle': 'Nothing can be installed here:',
  'apps.refused': 'The catalogue {name} is refused',
  'apps.refused-hint': 'Nothing of it can be installed. What was installed before stays as it is.',
  'apps.none': 'No catalogue yet',
  'apps.none-hint': 'Apps come from catalogues that you sign and add on the server. OPERATIONS.md of the release has the whole of it.',
  'apps.none-yet': 'There are no apps to install yet',
  'apps.none-yet-hint': 'An administrator can add a catalogue of them.',
  'apps.how-keygen': 'Make a key, and have the server trust it by the lines that are printed',
  'apps.how-sign': 'Sign a catalogue with it',
  'apps.how-add': 'Add that to the server',
  'apps.version': 'Version {version} · {license}',
  'apps.version-only': 'Version {version}',
  'apps.about': 'More about it',
  'apps.can': 'This app',
  'apps.new': 'New:',
  'apps.size': 'To fetch',
  'apps.memory': 'Memory, at most',
  'apps.digest': 'Digest',
  'apps.digest-copy': 'Copy the digest',
  'apps.digest-copied': 'The digest is copied',
  'apps.source': 'Source',
  'apps.signed': 'Catalogue',
  'apps.signed-by': '{title}, signed by {name}',
  'apps.left': 'The catalogue {catalogue} does not have it any more.',
  'apps.shadowed': 'These desktops have an app of that name of their own, and keep it: {kinds}',
  'apps.failed': '{name} was not installed:',
  'apps.progress': 'Fetching {name}',
  'apps.fetching': '{done} of {total}',
  'apps.unpacking': 'Unpacking and comparing…',
  'apps.has-all': 'Everybody has {version}',
  'apps.has-mine': 'You have {version}',
  'apps.has-by': ' · {by}, {since}',
  'apps.ask': 'An administrator can install it.',
  'apps.install-me': 'Install for me',
  'apps.install-all': 'Install for everybody',
  'apps.update': 'Update to {version}',
  'apps.rollback': 'Back to {version}',
  'apps.remove': 'Remove',
  'apps.install-title': 'Install {name} {version}?',
  'apps.install-verb': 'Install',
  'apps.ask-install-me': 'For you, on all of your desktops.',
  'apps.ask-install-all': 'For everybody, on all desktops.',
  'apps.update-title': 'Update {name} to {version}?',
  'apps.update-verb': 'Update',
  'apps.ask-update-me': 'For you, on all of your desktops. You can go back to the version of now.',
  'apps.ask-update-all': 'For everybody, on all desktops. You can go back to the version of now.',
  'apps.rollback-title': 'Bring {name} back to {version}?',
  'apps.rollback-verb': 'Bring back',
  'apps.ask-rollback-me': 'For you, on all of your desktops. You can come back to the version of now.',
  'apps.ask-rollback-all': 'For everybody, on all desktops. You can come back to the version of now.',
  'apps.remove-title': 'Remove {name} {version}?',
  'apps.remove-verb': 'Remove',
  'apps.ask-remove-me': 'Your desktops will not have it any more. What it keeps in its home stays.',
  'apps.ask-remove-all': 'Desktops will not have it any more, except of people who have it for themselves. What it keeps in their homes stays.',
  'apps.busy': 'One moment…',
  'apps.next-start': 'Desktops that run stay as they are. It takes effect when one is started again.',
  'apps.from': '{size} come from {source}. What comes is compared with the digest, and refused where it is anything else.',
  'apps.no-more': 'It can do nothing that it could not do before.',
  'apps.more': 'It could then do more than now',
  'apps.removed': '{name} is removed',
  'apps.rolled-back': '{name} is back to what it was',
  'power.none': 'can do nothing outside of itself',
  'power.risky': 'be sure that you trust it',
  'power.network': 'can use the network',
  'power.read-data': 'can read your files',
  'power.write-data': 'can read and change your files',
  'power.manager': 'can ask for snapshots, for links by which others see the desktop, and for its other apps',
  'power.display': 'can show windows, and see what is typed into others on the desktop',
  'power.clipboard': 'can read and change the clipboard',
  'power.bus': 'can talk to {about} on the desktop',
  'power.ports': 'offers pages that you can look at, on port {about}',
  'app.closed': 'Closed',
  'app.starting': 'Opening',
  'app.running': 'Open',
  'app.ended': 'Ended by itself',
  'part.starting': 'Starting',
  'part.running': 'Running',
  'part.paused': 'Paused',
  'part.ended': 'Ended',
  'part.xorg': 'Display',
  'part.dbus': 'Session bus',
  'part.api': 'Launcher',
  'part.desktop': 'Desktop',
  'part.agent': 'Screen and keyboard',
  'part.supervisor': 'Supervisor',
  'link.from-desktop': 'made on the desktop',
  'page.share': 'Share this page',
  'page.share-port': 'Share this page: port {port}',
  'page.share-name': 'Share the page on port {port} of {name}',
  'page.title': 'Share the page on port {port}',
  'page.text': 'Whoever opens the link sees this one page and nothing else: not the desktop, and no other page of it. No account is needed.',
  'page.span': 'Works for',
  'page.create': 'Create link',
  'page.creating': 'Creating…',
  'page.made': 'The link is ready',
  'page.made-text': 'It shows the page on port {port}, {left}.',
  'page.once': 'It is shown only now. The page is there as long as the program runs and the desktop does not rest.',
  'page.another': 'Another link',
  'page.links': 'Links to pages that work now',
  'page.reading': 'Reading the links…',
  'page.none': 'None. Nobody else can open a page of this desktop by itself.',
  'page.port': 'Port {port}',
  'page.used': 'opened {count} times',
  'page.used-one': 'opened once',
  'page.revoke': 'Revoke',
  'page.revoke-name': 'Revoke the link to port {port}, {used}',
  'page.revoked': 'The link is revoked',
  'page.only': 'One page only',
  'page.only-text': 'Instead of the desktop, a link can show just the pages of a program on it.',
  'logs.title': 'Logs',
  'logs.hint': 'What the desktop and its apps write, line by line.',
  'logs.show': 'Show',
  'logs.hide': 'Hide',
  'logs.part': 'Part of the desktop',
  'logs.of': 'Log of {part}',
  'logs.search': 'Search in the log',
  'logs.download': 'Download',
  'logs.reading': 'Reading…',
  'logs.unread': 'The log could not be read',
  'logs.none': 'Nothing of this desktop has said anything yet. Start it, and look again.',
  'logs.empty': 'Nothing has been written yet.',
  'logs.no-match': 'No line has “{query}” in it.',
  'logs.found': '{shown} of {all} lines match',
  'logs.following': 'New lines appear as they are written',
  'logs.held': 'Scrolled up: {count} new lines',
  'logs.newest': 'Newest',
  'logs.ended': 'It has ended',
  'logs.ended-why': 'It has ended: {reason}',
  'logs.again': 'Read again',
  'logs.lost': 'The connection was lost. Trying again…',
});

/** All of it. */
const ALL = Object.freeze({ ...TEXT, ...MORE });

/** @typedef {keyof typeof ALL} TextKey */

/** What is said there, with what is to stand in its braces. @param {TextKey} key @param {Record<string, string | number>} [values] */
export const t = (key, values = {}) => ALL[key].replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));

/** What an app may do, as the rest of a sentence; what a newer server has in its own words. @param {import('./apps.js').Power} power */
export function powerWords({ what, text, about }) {
  const key = `power.${what}`;
  return key in ALL ? t(/** @type {TextKey} */ (key), { about: about.join(', ') }) : text;
}

/** So much of a digest as one tells it by. @param {string} digest */
export const shortDigest = (digest) => digest.replace(/^sha256:/, '').slice(0, 12);
