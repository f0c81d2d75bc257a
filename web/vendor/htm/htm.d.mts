/** What the pages use of htm: a tag for templates that calls the function it is bound to for each element. */
declare const htm: {
  /** Values may be anything here; `tests/web/check.mjs` types them, by the calls that templates stand for. */
  bind<Node>(h: (...args: any[]) => Node): (strings: TemplateStringsArray, ...values: any[]) => Node;
};
export default htm;
