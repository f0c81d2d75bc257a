/** What the page keeps of a desktop's template while somebody looks at it: `apply` says what an event makes of it. Pure. */

/** @import { TemplateEvent, TemplateModel } from './kept.js' */

/** @returns {TemplateModel} */
export const initial = () => ({
  view: null, draft: '', faults: null, versions: null, theirs: null, review: null, busy: '', problem: null,
});

/** Whether there is something that was not applied. @param {TemplateModel} model */
export const isChanged = ({ view, draft }) => view !== null && draft !== (view.text ?? '');

/** @param {TemplateModel} model @param {TemplateEvent} event @returns {TemplateModel} */
export function apply(model, event) {
  switch (event.type) {
    case 'asking': return { ...model, busy: event.what, problem: null };
    case 'refused': return { ...model, busy: '', problem: event.problem };
    case 'read': return read(model, event.view);
    case 'typed': return { ...model, draft: event.text, problem: null };
    case 'checked': return event.text === model.draft ? { ...model, faults: event.faults } : model;
    case 'versions': return { ...model, versions: event.versions };
    case 'review': return { ...model, busy: '', problem: null, review: event.review };
    case 'applied': return { ...model, busy: '', problem: null, review: null, theirs: null, view: event.view, draft: event.view.text ?? '', faults: [] };
    case 'back': return { ...model, busy: '', problem: null, review: null };
    case 'drop': return { ...model, draft: model.view?.text ?? '', faults: [], problem: null };
    case 'keep': return model.theirs ? { ...model, view: model.theirs, theirs: null, problem: null } : model;
    case 'take': return model.theirs ? { ...model, view: model.theirs, draft: model.theirs.text ?? '', theirs: null, faults: [], problem: null } : model;
  }
}

/**
 * What was typed is never lost: a version that came between waits until somebody says what is to become of it.
 * @param {TemplateModel} model @param {import('./kept.js').TemplateView} view @returns {TemplateModel}
 */
function read(model, view) {
  const before = model.view;
  const isOther = before !== null && before.version !== view.version;
  if (isOther && isChanged(model) && model.draft !== view.text) return { ...model, busy: '', review: null, theirs: view };
  const draft = before === null || isOther ? view.text ?? '' : model.draft;
  return { ...model, busy: '', problem: null, view, draft, theirs: null, review: isOther ? null : model.review };
}
