/** What the API says of snapshots and of versions of templates, and what the page keeps of it. */

import type { Problem } from './types.js';

export type SnapshotKind = 'btrfs' | 'repository';
export type SnapshotCause = 'schedule' | 'asked' | 'reset' | 'restore' | 'template' | 'desktop';

export interface Snapshot {
  readonly id: string;
  readonly created_at: string;
  readonly cause: SnapshotCause;
  /** What it was called by whoever asked for it. */
  readonly name?: string;
  readonly kind: SnapshotKind;
  readonly files: number;
  readonly bytes: number;
  readonly left_out: number;
}

export interface SnapshotEntry {
  readonly name: string;
  readonly what: 'folder' | 'file' | 'link';
  readonly bytes: number;
  readonly modified_at: string;
}

/** A folder that is looked into; all of Data where its path is empty. */
export interface Browsed {
  readonly snapshot: Snapshot;
  readonly path: string;
  readonly entries: readonly SnapshotEntry[];
  readonly cut: boolean;
}

/** A file that is looked at: a picture by its address, or a text, or neither. */
export interface Preview {
  readonly name: string;
  readonly path: string;
  readonly picture: string | null;
  readonly text: string | null;
  /** Whether there is more of it. */
  readonly cut: boolean;
}

/** What is to be restored once it is said again. All of Data where the path is empty. */
export interface Asked {
  readonly snapshot: Snapshot;
  readonly path: string;
}

export interface SnapshotsModel {
  readonly kind: SnapshotKind | null;
  readonly snapshots: readonly Snapshot[] | null;
  readonly folder: Browsed | null;
  readonly preview: Preview | null;
  readonly asked: Asked | null;
  /** What an answer is awaited of, or nothing. */
  readonly busy: '' | 'take' | 'restore' | 'read';
  readonly problem: Problem | null;
}

export type SnapshotsEvent =
  | { readonly type: 'asking', readonly what: 'take' | 'restore' | 'read' }
  | { readonly type: 'refused', readonly problem: Problem }
  | { readonly type: 'listed', readonly kind: SnapshotKind, readonly snapshots: readonly Snapshot[] }
  | { readonly type: 'browsed', readonly folder: Browsed }
  | { readonly type: 'previewed', readonly preview: Preview }
  | { readonly type: 'ask', readonly asked: Asked }
  | { readonly type: 'restored' }
  | { readonly type: 'back' };

/** A link that shows one preview and nothing else. */
export interface PreviewLink {
  readonly id: string;
  /** Only in the answer that makes it. */
  readonly url?: string;
  readonly port: number;
  readonly created_at: string;
  readonly expires_at: string;
  readonly uses: number;
}

/** A part of a desktop that has a log. */
export interface LogPart {
  readonly part: string;
  /** Of an app. */
  readonly title?: string;
}

/** What a program wrote, as plain text. */
export interface LogLine {
  readonly at: string | null;
  readonly text: string;
  /** Told from others by it. */
  readonly number: number;
}

export interface LogsModel {
  readonly isOpen: boolean;
  readonly parts: readonly LogPart[] | null;
  readonly part: string;
  readonly lines: readonly LogLine[];
  /** How many there ever were. */
  readonly count: number;
  /** What is shown while somebody reads further up, and the count of then. */
  readonly held: readonly LogLine[] | null;
  readonly heldAt: number;
  readonly state: 'reading' | 'on' | 'ended' | 'lost' | 'refused';
  /** Why it ended, where that is known. */
  readonly reason: string;
  readonly query: string;
  readonly problem: Problem | null;
}

export type LogsEvent =
  | { readonly type: 'opened' | 'closed' | 'ready' | 'lost' | 'held' | 'followed' }
  | { readonly type: 'parts', readonly parts: readonly LogPart[] }
  | { readonly type: 'part', readonly part: string }
  | { readonly type: 'lines', readonly lines: readonly { readonly at: string | null, readonly text: string }[] }
  | { readonly type: 'ended', readonly reason: string }
  | { readonly type: 'refused', readonly problem: Problem }
  | { readonly type: 'query', readonly query: string };
/** What a desktop is made of from its next start on. */
export interface TemplateView {
  readonly base: string;
  /** 0: as the server has it. */
  readonly version: number;
  /** Nothing where the server has no such template any more. */
  readonly text: string | null;
  /** Markdown. */
  readonly readme: string;
  /** Whether the desktop that runs is made of this; nothing where none runs. */
  readonly running: boolean | null;
  readonly may_edit: boolean;
  readonly has_apps: boolean;
}

/** Something that is wrong with a text. */
export interface TemplateFault {
  /** From 1; 0 where no line is to blame. */
  readonly line: number;
  readonly place: string;
  readonly message: string;
}

export interface TemplateVersion {
  readonly number: number;
  readonly author: string | null;
  readonly created_at: string;
  readonly note: string;
  readonly text?: string;
}

/** What is looked at before it is done, or only looked at. */
export interface TemplateReview {
  readonly what: 'apply' | 'back' | 'look';
  /** The version that is gone back to or looked at. */
  readonly number: number;
  readonly from: string;
  readonly to: string;
}

export interface TemplateModel {
  readonly view: TemplateView | null;
  /** As it stands in the editor. */
  readonly draft: string;
  /** What is wrong with it; nothing before it was looked at. */
  readonly faults: readonly TemplateFault[] | null;
  readonly versions: readonly TemplateVersion[] | null;
  /** A version that came between. */
  readonly theirs: TemplateView | null;
  readonly review: TemplateReview | null;
  readonly busy: '' | 'read' | 'apply' | 'restart' | 'version';
  readonly problem: Problem | null;
}

export type TemplateEvent =
  | { readonly type: 'asking', readonly what: 'read' | 'apply' | 'restart' | 'version' }
  | { readonly type: 'refused', readonly problem: Problem }
  | { readonly type: 'read', readonly view: TemplateView }
  | { readonly type: 'typed', readonly text: string }
  | { readonly type: 'checked', readonly text: string, readonly faults: readonly TemplateFault[] }
  | { readonly type: 'versions', readonly versions: readonly TemplateVersion[] }
  | { readonly type: 'review', readonly review: TemplateReview }
  | { readonly type: 'applied', readonly view: TemplateView }
  | { readonly type: 'back' }
  /** What was typed is not wanted. */
  | { readonly type: 'drop' }
  /** It is wanted in place of what came between. */
  | { readonly type: 'keep' }
  /** What came between is wanted in place of it. */
  | { readonly type: 'take' };
