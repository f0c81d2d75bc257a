/** What the API's answers hold, and what the home page keeps of them. */

export type SessionState =
  | 'requested' | 'queued' | 'starting' | 'running' | 'idle' | 'stopping' | 'stopped' | 'failed';

/** What somebody may do in a desktop. */
export type LinkRole = 'view' | 'assist' | 'control';

/** What the one who asks is to a desktop. */
export type Standing = 'owner' | 'admin' | LinkRole;

export interface Owner {
  readonly id: string;
  readonly name: string;
  readonly display_name: string;
}

export interface Session {
  readonly id: string;
  readonly name: string;
  readonly template: string;
  readonly owner: Owner;
  readonly state: SessionState;
  /** For a person; may be empty. */
  readonly reason: string;
  readonly created_at: string;
  readonly url: string;
  readonly role: Standing;
  readonly viewers: number;
  /** Its place in line, where it is queued. */
  readonly queue?: { readonly position: number, readonly eta_s: number | null } | null;
  readonly can_pause?: boolean;
  /** The number of its newest picture. */
  readonly picture?: number | null;
  /** What its owner keeps in all of their desktops, where that was measured. */
  readonly storage?: Storage | null;
  /** What it takes, where it runs. */
  readonly usage?: Usage | null;
  readonly apps?: readonly App[];
  /** Apps that are installed and that it has not: for want of room, or since it has others of their names. */
  readonly left_out?: readonly { readonly app: string, readonly why: 'room' | 'name' }[];
  /** The version of its template that holds from its next start on; 0 is the server's own. */
  readonly template_version?: number;
  /** Whether what runs is made of that; nothing where nothing runs. */
  readonly template_current?: boolean | null;
  /** Where it was thrown away: until when it can be had back, and until when with its programs. */
  readonly discarded?: { readonly until: string, readonly programs_until: string | null };
}

/** What is kept in one place. */
export interface Held {
  readonly used_bytes: number;
  readonly limit_bytes: number | null;
  readonly full: boolean;
}

export interface Storage {
  readonly data: Held;
  readonly home: Held;
  readonly apps: Held;
  readonly enforced: boolean;
}

export type PartState = 'starting' | 'running' | 'paused' | 'ended';

/** What a desktop is made of and takes, as far as that is known. */
export interface Usage {
  readonly since: string | null;
  readonly memory_bytes: number | null;
  /** 100 is one core. */
  readonly cpu_percent: number | null;
  readonly parts: readonly { readonly name: string, readonly app: boolean, readonly state: PartState }[];
}

export interface App {
  readonly name: string;
  readonly title: string;
  readonly icon: string;
  readonly state: 'closed' | 'starting' | 'running' | 'ended';
  readonly reason?: string;
  /** On which what it runs may be looked at. */
  readonly ports?: readonly number[];
}

export interface Me extends Owner {
  readonly role: 'member' | 'admin';
  readonly has_password: boolean;
}

export interface User extends Me {
  readonly disabled?: boolean;
}

export interface Guest {
  readonly session: string;
  readonly role: LinkRole;
}

export interface Template {
  readonly id: string;
  readonly title: string;
  readonly summary: string;
  /** Markdown. */
  readonly readme?: string;
  /** Images of its apps that are not on the server's machine. */
  readonly missing_images?: readonly string[];
  /** Its apps, each with the ports on which what it runs may be looked at. */
  readonly apps?: readonly { readonly name: string, readonly ports?: readonly number[] }[];
}

/** An image that somebody builds on the machine, or that could not be built. */
export interface Build {
  readonly image: string;
  readonly state: 'running' | 'failed';
  /** Which of those that are built one after the other, from 1; 0 where all are made from it. */
  readonly number: number;
  readonly of: number;
  /** From 1; 0 before the first. */
  readonly step: number;
  /** 0 where nobody knows yet. */
  readonly steps: number;
  /** For how long it is being built, or since when it has failed. */
  readonly seconds: number;
}

/** An image of which desktops are made, or were. */
export interface Image {
  readonly id: string;
  readonly names: readonly string[];
  readonly kind: 'shipped' | 'catalogue' | 'template' | 'stale';
  /** Where it was built with another release than this server's. */
  readonly other_release: string | null;
  readonly size_bytes: number;
  readonly made_at: string;
  readonly desktops: number;
  readonly core: boolean;
  readonly templates: readonly string[];
  readonly installed: readonly string[];
  /** Why it is not removed; null where it can be. */
  readonly kept: string | null;
}

export interface Images {
  readonly images: readonly Image[];
  readonly total_bytes: number;
  readonly removable_bytes: number;
  readonly obstacle: string | null;
}

/** What one person keeps. */
export interface PersonVolumes {
  readonly id: string;
  /** Null where the account is gone, and the files are not. */
  readonly owner: Owner | null;
  readonly storage: Storage;
  readonly used_bytes: number;
  readonly near: boolean;
}

export interface Volumes {
  readonly people: readonly PersonVolumes[];
  readonly keeper: string;
  readonly enforced: boolean;
  readonly obstacle: string | null;
}

export interface Link {
  readonly id: string;
  /** Only in the answer that makes it. */
  readonly url?: string;
  readonly role: LinkRole;
  readonly expires_at: string;
  readonly max_uses: number | null;
  readonly uses: number;
  /** Made on the desktop, by `lattice share`. */
  readonly from_desktop?: boolean;
  readonly created_at: string;
}

export interface Viewer {
  readonly viewer: number;
  readonly name: string;
  readonly role: Standing;
  readonly driving: boolean;
  readonly you: boolean;
}

/** What a refusal or a silence means here. */
export type Trouble =
  /** Nothing answers. */
  | 'away'
  /** It answers that it cannot now. */
  | 'busy'
  /** Too often: `retryAfterS` says how long to wait. */
  | 'slow-down'
  | 'signed-out' | 'forbidden' | 'missing'
  /** What was asked for cannot be so: `detail` says why. */
  | 'wrong'
  | 'broken';

/** An answer that is not what was asked for. */
export interface Problem {
  readonly trouble: Trouble;
  readonly status: number;
  /** The server's own words, or nothing. */
  readonly title: string;
  readonly detail: string;
  readonly type: string;
  readonly retryAfterS: number;
}

export type Answer<T> = { readonly ok: true, readonly value: T } | { readonly ok: false, readonly problem: Problem };

/** What of the page is looked at. */
export type Tab = 'mine' | 'apps' | 'all' | 'people' | 'machine' | 'desktop';

/** What there is of something, and what is left. */
export interface Room {
  /** 0 where nobody knows. */
  readonly total_bytes: number;
  readonly free_bytes: number;
}

/** How the machine is and what it carries. */
export interface Figures {
  readonly version: string;
  readonly up_s: number;
  readonly cores: number;
  /** Over 1, 5 and 15 minutes. */
  readonly load: readonly number[] | null;
  readonly pressure_percent: number | null;
  readonly memory: Room;
  readonly disk: Room;
  readonly sessions: Readonly<Record<string, number>>;
  readonly viewers: number;
  readonly desktops_bytes: number;
  /** Desktops that are half started ahead of time, where there are such. */
  readonly pool: { readonly ready: number, readonly wanted: number } | null;
  readonly builds: readonly Build[];
  /** Another whenever a build has ended. */
  readonly builds_revision: number;
  readonly limits: { readonly reserve_bytes: number, readonly starts: number, readonly viewers: number, readonly encoders: number };
}

/** What was found of one thing. */
export interface Check {
  readonly what: string;
  readonly text: string;
  readonly verdict: 'ok' | 'warning' | 'fault';
  readonly remedy?: string;
}

/** How backups are doing. Times are RFC 3339. */
export interface Backup {
  readonly configured: boolean;
  /** Whether this server makes them; else root of the machine that has people's files does. */
  readonly made_here: boolean;
  readonly repository: { readonly kind: 'directory' | 'sftp' | 's3', readonly place: string } | null;
  readonly every: string | null;
  readonly drill_every: string | null;
  readonly next_at: string | null;
  readonly next_drill_at: string | null;
  readonly now: 'backup' | 'drill' | null;
  readonly progress: { readonly since: string, readonly done: number, readonly of: number } | null;
  /** Why the last try came to nothing. */
  readonly error: string | null;
  readonly tried_at: string | null;
  readonly last: { readonly at: string, readonly seconds: number, readonly people: number, readonly files: number, readonly bytes: number,
    readonly added_bytes: number, readonly left_out: number, readonly moving: number } | null;
  readonly drill: { readonly at: string, readonly seconds: number, readonly ok: boolean, readonly error: string | null,
    readonly files: number, readonly bytes: number } | null;
}

/** What a new desktop begins with. */
export type Origin = 'nothing' | 'git' | 'zip';

export interface NewDialog {
  readonly kind: 'new';
  readonly busy: boolean;
  readonly problem: Problem | null;
  readonly origin: Origin;
  /** What is done at the moment; nothing where nothing is. */
  readonly step: '' | 'sending' | 'unpacking' | 'cloning' | 'starting';
  /** Of what is sent, in bytes. */
  readonly sent: number;
  readonly total: number;
  /** The folder that was made and has no desktop yet, and of what. */
  readonly made: { readonly folder: string, readonly of: string } | null;
}

/** A new folder in Data. */
export interface Imported {
  readonly folder: string;
  readonly files: number;
  readonly bytes: number;
}

/** What lies above the page. `busy`: an answer is awaited. */
export type Dialog = { readonly busy: boolean, readonly problem: Problem | null } & (
  | NewDialog
  | import('./apps.js').AppDialog
  | { readonly kind: 'share', readonly session: string, readonly made: Link | null,
      readonly links: readonly Link[] | null, readonly viewers: readonly Viewer[] | null }
  /** Of one preview alone. */
  | { readonly kind: 'share-page', readonly session: string, readonly port: number }
  | { readonly kind: 'stop' | 'restart' | 'reset' | 'rename' | 'duplicate', readonly session: string }
  /** Of what was thrown away, for good. */
  | { readonly kind: 'forget', readonly thrown: Session }
  | { readonly kind: 'snapshots', readonly session: string }
  | { readonly kind: 'password' }
  | { readonly kind: 'person' }
  /** A one-time sign-in, shown once. */
  | { readonly kind: 'invited', readonly name: string, readonly url: string }
  | { readonly kind: 'delete-person', readonly user: User });

/** A list that may not be there yet, or not any more. */
export interface Listed<T> {
  readonly items: readonly T[] | null;
  readonly problem: Problem | null;
}

/** Whether changes arrive by themselves. `retryAt` as in `now`, where they do not. */
export interface Live {
  readonly state: 'joining' | 'on' | 'lost';
  readonly retryAt: number;
}

export interface Model {
  readonly phase: 'checking' | 'away' | 'out' | 'in';
  readonly now: number;
  readonly me: Me | null;
  readonly guest: Guest | null;
  readonly problem: Problem | null;
  readonly signIn: { readonly busy: boolean, readonly problem: Problem | null, readonly retryAt: number };
  readonly tab: Tab;
  /** The desktop that the tab is about, where it is about one. */
  readonly subject: string;
  readonly sessions: Listed<Session>;
  /** What was thrown away and can be had back, the newest first. */
  readonly thrown: readonly Session[];
  /** What is looked for. */
  readonly query: string;
  /** Who looks at the desktop that the page is about, where that was read. */
  readonly people: readonly Viewer[] | null;
  readonly users: Listed<User>;
  readonly templates: readonly Template[];
  /** What templates say of themselves, read, by their ids. */
  readonly readmes: Readonly<Record<string, readonly import('../vendor/marked/marked.mjs').Token[]>>;
  readonly live: Live;
  /** Apps that can be installed, once somebody looked. */
  readonly shop: import('./apps.js').Shop;
  /** Apps on their way, and what came to nothing. */
  readonly pulls: readonly import('./apps.js').Pull[];
  /** Images that are being built on the machine, as administrators are told. */
  readonly builds: readonly Build[];
  /** Sessions and users about which an answer is awaited. */
  readonly acting: ReadonlySet<string>;
  readonly dialog: Dialog | null;
  readonly toast: { readonly text: string, readonly tone: '' | 'stop', readonly id: number,
    /** The session that it offers to have back. */
    readonly undo: string } | null;
  /** What those who do not look are told. */
  readonly said: string;
  /** The server's release where it is another than this page's, or nothing. */
  readonly update: string;
  /** The one that somebody does not want yet. */
  readonly putOff: string;
}

export type Event = { readonly now?: number } & (
  | { readonly type: 'asked' }
  | { readonly type: 'away', readonly problem: Problem }
  | { readonly type: 'signed-in', readonly me: Me }
  | { readonly type: 'signed-out', readonly guest: Guest | null }
  | { readonly type: 'signing-in' }
  | { readonly type: 'sign-in-failed', readonly problem: Problem }
  | { readonly type: 'tab', readonly tab: Tab, readonly subject?: string }
  | { readonly type: 'templates', readonly templates: readonly Template[] }
  | { readonly type: 'sessions', readonly sessions: readonly Session[] }
  | { readonly type: 'sessions-failed', readonly problem: Problem }
  | { readonly type: 'session', readonly session: Session }
  | { readonly type: 'gone', readonly id: string }
  | { readonly type: 'readme', readonly template: string, readonly tokens: readonly import('../vendor/marked/marked.mjs').Token[] }
  | { readonly type: 'thrown', readonly sessions: readonly Session[] }
  | { readonly type: 'query', readonly query: string }
  | { readonly type: 'users', readonly users: readonly User[] }
  | { readonly type: 'users-failed', readonly problem: Problem }
  | { readonly type: 'user', readonly user: User }
  | { readonly type: 'user-gone', readonly id: string }
  | { readonly type: 'catalogue', readonly known: import('./apps.js').Catalogues }
  | { readonly type: 'catalogue-failed', readonly problem: Problem }
  | { readonly type: 'pulls', readonly pulls: readonly import('./apps.js').Pull[] }
  | { readonly type: 'builds', readonly builds: readonly Build[] }
  | { readonly type: 'acting', readonly id: string }
  | { readonly type: 'acted', readonly id: string }
  | { readonly type: 'live', readonly live: Live }
  | { readonly type: 'open', readonly dialog: Dialog }
  | { readonly type: 'close' }
  | { readonly type: 'beginning', readonly change: Partial<NewDialog> }
  | { readonly type: 'asking' }
  | { readonly type: 'refused', readonly kind: Dialog['kind'], readonly problem: Problem }
  | { readonly type: 'links', readonly session: string, readonly links: readonly Link[] }
  | { readonly type: 'link-made', readonly session: string, readonly link: Link }
  | { readonly type: 'link-gone', readonly session: string, readonly id: string }
  | { readonly type: 'viewers', readonly session: string, readonly viewers: readonly Viewer[] }
  | { readonly type: 'password-set' }
  | { readonly type: 'toast', readonly text: string, readonly tone?: '' | 'stop', readonly undo?: string }
  | { readonly type: 'toast-over', readonly id: number }
  | { readonly type: 'update', readonly release: string }
  | { readonly type: 'update-put-off' }
  | { readonly type: 'tick' });
