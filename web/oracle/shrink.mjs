// The smallest request that still has the same kind of difference: definitions, selections, arguments, directives and values
// are deleted one after the other, and tokens where the text has no syntax tree.

import { parse, print, visit } from 'graphql17';
import { RawNumber } from './json.mjs';

/** Most requests that are tried for one difference. */
const ATTEMPTS = 600;

/** Returns a smaller request for which `differs`, an asynchronous function, still returns true. */
export async function shrink(request, differs) {
  let attempts = 0;
  let smallest = request;

  for (let progress = true; progress && attempts < ATTEMPTS;) {
    progress = false;
    for (const candidate of candidates(smallest)) {
      if ((attempts += 1) > ATTEMPTS) break;
      if (!(await differs(candidate))) continue;
      smallest = candidate;
      progress = true;
      break;
    }
  }
  return smallest;
}

/** Yields requests that are smaller by one deletion, greater deletions first. */
function* candidates(request) {
  const { variables = {}, behaviour = {}, operationName } = request;
  for (const key of Object.keys(behaviour)) yield { ...request, behaviour: without(behaviour, key) };
  for (const value of smaller(variables)) yield { ...request, variables: value };
  if (operationName != null) yield { ...request, operationName: null };

  const document = parsed(request.query);
  for (const query of document ? smallerDocuments(document) : smallerTexts(request.query)) {
    if (query.length < request.query.length) yield { ...request, query };
  }
}

/** Yields values with one part less: a field, an item, or a part of one of them. */
function* smaller(value) {
  if (value === null || typeof value !== 'object' || value instanceof RawNumber) return;
  const keys = Object.keys(value);
  for (const key of keys) yield without(value, key);
  for (const key of keys) {
    for (const part of smaller(value[key])) yield Array.isArray(value) ? value.with(Number(key), part) : { ...value, [key]: part };
  }
}

function without(value, key) {
  if (Array.isArray(value)) return value.filter((_, index) => index !== Number(key));
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
}

function* smallerDocuments(document) {
  let count = 0;
  visit(document, { enter: () => void (count += 1) });
  // The first text is the printed document as a whole, without its white space and comments.
  for (let target = 0; target < count; target += 1) {
    for (const change of [null, 'unwrap']) {
      const text = printed(changed(document, target, change));
      if (text !== undefined) yield text;
    }
  }
}

/** Returns the document without its node number `target`, or with a fragment replaced by its selections. */
function changed(document, target, change) {
  let number = 0;
  return visit(document, {
    enter(node, _key, parent) {
      const isTarget = number++ === target;
      if (!isTarget || node.kind === 'Document') return undefined;
      if (change === null) return ['SelectionSet', 'Name', 'NamedType', 'NonNullType'].includes(node.kind) ? shorter(node, parent) : null;
      return node.kind === 'InlineFragment' || node.kind === 'Field' ? { ...node, alias: undefined, typeCondition: undefined } : undefined;
    },
  });
}

function shorter(node, parent) {
  return node.kind === 'Name' && parent.kind === 'OperationDefinition' ? null : undefined;
}

function printed(document) {
  try {
    const text = print(document);
    parse(text);
    return text;
  } catch {
    return undefined;
  }
}

function* smallerTexts(text) {
  const pieces = text.split(/([{}()[\]:!$@,\s]+)/).filter((piece) => piece !== '');
  for (let size = Math.floor(pieces.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < pieces.length; from += size) yield [...pieces.slice(0, from), ...pieces.slice(from + size)].join('');
  }
}

function parsed(text) {
  try {
    return parse(text, { noLocation: true });
  } catch {
    return undefined;
  }
}
