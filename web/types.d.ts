/** What browsers have and TypeScript's libraries do not, and what the page shows to tests. */

interface KeyboardLock {
  lock(codes?: string[]): Promise<void>;
  unlock(): void;
}

interface Navigator {
  readonly keyboard?: KeyboardLock;
}

interface TextUpdateEvent extends Event {
  readonly text: string;
}

interface EditContextEventMap {
  textupdate: TextUpdateEvent;
  compositionstart: CompositionEvent;
  compositionend: CompositionEvent;
}

interface EditContext extends EventTarget {
  readonly text: string;
  updateText(start: number, end: number, text: string): void;
  updateSelection(start: number, end: number): void;
  updateControlBounds(bounds: DOMRect): void;
  updateSelectionBounds(bounds: DOMRect): void;
  addEventListener<K extends keyof EditContextEventMap>(
    type: K, listener: (event: EditContextEventMap[K]) => void): void;
}

interface Window {
  readonly EditContext?: new () => EditContext;
  readonly trustedTypes?: {
    createPolicy(name: string, rules: { createScriptURL(url: string): string }):
      { createScriptURL(url: string): string };
  };
  lattice: { stats(): import('./media/messages.js').Stats };
}

interface HTMLCanvasElement {
  editContext?: EditContext | null;
}
