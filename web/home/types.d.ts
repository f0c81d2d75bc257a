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
}

export interface Link {
  readonly id: string;
  /** Only in the answer that makes it. */
  readonly url?: string;
  readonly role: LinkRole;
  readonly expires_at: string;
  readonly max_uses: number | null;
  readonly uses: number;
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
export type Tab = 'mine' | 'all' | 'people';

/** What lies above the page. `busy`: an answer is awaited. */
export type Dialog = { readonly busy: boolean, readonly problem: Problem | null } & (
  | { readonly kind: 'new' }
  | { readonly kind: 'share', readonly session: string, readonly made: Link | null,
      readonly links: readonly Link[] | null, readonly viewers: readonly Viewer[] | null }
  | { readonly kind: 'stop' | 'reset' | 'delete', readonly session: string }
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
  readonly sessions: Listed<Session>;
  readonly users: Listed<User>;
  readonly templates: readonly Template[];
  readonly live: Live;
  /** Sessions and users about which an answer is awaited. */
  readonly acting: ReadonlySet<string>;
  readonly dialog: Dialog | null;
  readonly toast: { readonly text: string, readonly tone: '' | 'stop', readonly id: number } | null;
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
  | { readonly type: 'tab', readonly tab: Tab }
  | { readonly type: 'templates', readonly templates: readonly Template[] }
  | { readonly type: 'sessions', readonly sessions: readonly Session[] }
  | { readonly type: 'sessions-failed', readonly problem: Problem }
  | { readonly type: 'session', readonly session: Session }
  | { readonly type: 'gone', readonly id: string }
  | { readonly type: 'users', readonly users: readonly User[] }
  | { readonly type: 'users-failed', readonly problem: Problem }
  | { readonly type: 'user', readonly user: User }
  | { readonly type: 'user-gone', readonly id: string }
  | { readonly type: 'acting', readonly id: string }
  | { readonly type: 'acted', readonly id: string }
  | { readonly type: 'live', readonly live: Live }
  | { readonly type: 'open', readonly dialog: Dialog }
  | { readonly type: 'close' }
  | { readonly type: 'asking' }
  | { readonly type: 'refused', readonly kind: Dialog['kind'], readonly problem: Problem }
  | { readonly type: 'links', readonly session: string, readonly links: readonly Link[] }
  | { readonly type: 'link-made', readonly session: string, readonly link: Link }
  | { readonly type: 'link-gone', readonly session: string, readonly id: string }
  | { readonly type: 'viewers', readonly session: string, readonly viewers: readonly Viewer[] }
  | { readonly type: 'password-set' }
  | { readonly type: 'toast', readonly text: string, readonly tone?: '' | 'stop' }
  | { readonly type: 'toast-over', readonly id: number }
  | { readonly type: 'update', readonly release: string }
  | { readonly type: 'update-put-off' }
  | { readonly type: 'tick' });
