/** What the API says of apps that can be installed. */

import type { Problem } from './types.js';

/** Something that an app may do. */
export interface Power {
  /** `display`, `clipboard`, `network`, `read-data`, `write-data`, `manager`, `bus`, `ports`, or what a newer server has. */
  readonly what: string;
  readonly text: string;
  readonly about: readonly string[];
  readonly risky: boolean;
}

export interface Catalogue {
  readonly name: string;
  readonly title: string | null;
  readonly serial: number | null;
  readonly signed_by: string | null;
  readonly refused: string | null;
}

export interface Offer {
  readonly edition: string;
  readonly version: string;
  readonly license: string;
  readonly source: string;
  readonly size_bytes: number;
  readonly memory_bytes: number;
  readonly image: string;
  readonly digest: string;
  readonly powers: readonly Power[];
}

export interface Installed {
  readonly version: string;
  readonly digest: string;
  readonly powers: readonly Power[];
  readonly update: boolean;
  readonly adds: readonly Power[];
  readonly previous: { readonly version: string, readonly digest: string, readonly adds: readonly Power[] } | null;
  readonly by: string;
  readonly at: string;
}

export interface CatalogueApp {
  readonly catalogue: string;
  readonly app: string;
  readonly title: string;
  readonly icon: string;
  readonly summary: string;
  readonly description: string;
  readonly offer: Offer | null;
  readonly mine: Installed | null;
  readonly everybody: Installed | null;
  readonly shadowed_by: readonly string[];
}

/** For whom something is installed. */
export type Audience = 'me' | 'all';

/** An app on its way. */
export interface Pull {
  readonly catalogue: string;
  readonly app: string;
  readonly for: Audience;
  readonly done_bytes: number;
  readonly total_bytes: number;
  readonly error: string | null;
}

export interface Catalogues {
  readonly catalogues: readonly Catalogue[];
  readonly apps: readonly CatalogueApp[];
  readonly pulls: readonly Pull[];
  readonly may_install: boolean;
  readonly may_install_for_all: boolean;
  readonly obstacle: string | null;
}

/** What the page has of it. */
export interface Shop {
  readonly known: Catalogues | null;
  readonly problem: Problem | null;
}

/** What is asked before something happens to an app. */
export interface AppDialog {
  readonly kind: 'app';
  readonly verb: 'install' | 'update' | 'rollback' | 'remove';
  readonly app: CatalogueApp;
  /** Whose; of what is to be installed, whose it is at first. */
  readonly audience: Audience;
}
