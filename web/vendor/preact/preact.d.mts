/** What the pages use of Preact, typed as strictly as they use it. Written here: the published types have every element. */

export type Child = VNode | string | number | boolean | null | undefined | Child[];

export interface VNode {
  readonly type: unknown;
}

/** Attributes and properties of an element, and what listens to it. */
export interface Props {
  key?: string | number;
  ref?: (element: any) => void;
  onClick?: (event: MouseEvent) => void;
  onSubmit?: (event: SubmitEvent) => void;
  onInput?: (event: InputEvent) => void;
  onChange?: (event: Event) => void;
  onCancel?: (event: Event) => void;
  onKeyDown?: (event: KeyboardEvent) => void;
  onKeyUp?: (event: KeyboardEvent) => void;
  [attribute: string]: unknown;
}

export abstract class Component<P = {}, S = {}> {
  constructor(props: P);
  readonly props: Readonly<P>;
  state: Readonly<S>;
  setState(patch: Partial<S>): void;
  forceUpdate(): void;
  componentDidMount?(): void;
  componentDidUpdate?(before: Readonly<P>): void;
  componentWillUnmount?(): void;
  abstract render(): Child;
}

export function h(element: string, props: Props | null, ...children: Child[]): VNode;
export function h<P>(
  component: ((props: P) => Child) | (new (props: P) => Component<P, any>),
  props: P & { key?: string | number }, ...children: Child[]): VNode;
export function render(node: Child, into: Element): void;
