/** What the pages use of marked: its lexer alone, which makes no markup. Written here. */

/** A piece of a text. What is not of the types below is shown as it was written. */
export interface Token {
  readonly type: string;
  readonly raw: string;
  readonly text?: string;
  readonly depth?: number;
  readonly ordered?: boolean;
  readonly start?: number | '';
  readonly href?: string;
  readonly tokens?: readonly Token[];
  readonly items?: readonly Token[];
  readonly header?: readonly Cell[];
  readonly rows?: readonly (readonly Cell[])[];
}

export interface Cell {
  readonly tokens: readonly Token[];
}

export function lexer(text: string): Token[];
