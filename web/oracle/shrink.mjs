// The smallest request that still has the same kind of difference: definitions, selections, arguments, directives and values
// are deleted one after the other, variables that cannot be missing are replaced by their values, and pieces of the text are
// deleted where it has no syntax tree.

import { Kind, parse, print, visit } from 'graphql17';
import { RawNumber, stringify } from './json.mjs';

/** Most requests that are tried for one difference. */
const ATTEMPTS = 1_500;
/** Kinds of nodes that stand in lists, from which one can be left out. */
const LISTED = [
  'OperationDefinition', 'FragmentDefinition', 'Field', 'FragmentSpread', 'InlineFragment', 'Argument', 'Directive',
  'VariableDefinition', 'ObjectField',
];

/** Returns a smaller request for which `differs`, an asynchronous function, still returns true. */
export async function shrink(request, differs) {
  let smallest = request;
  let attempts = 0;

  for (let progress = true; progress;) {
    progress = false;
    let steps = stepsOf(smallest);
    for (let index = 0; index < steps.length && attempts < ATTEMPTS;) {
      const candidate = steps[index]();
      attempts += candidate ? 1 : 0;
      if (candidate && (await differs(candidate))) {
        // What now has this index came after what was deleted.
        smallest = candidate;
        steps = stepsOf(smallest);
        progress = true;
      } else {
        index += 1;
      }
    }
  }
  return smallest;
}

/** Returns functions that each make a request with one part less, or undefined where that is no request. */
function stepsOf(request) {
  const { variables = {}, behaviour = {}, operationName } = request;
  const document = parsed(request.query);
  const isPrinted = !document || print(document) === request.query;
  const size = sizeOf(request);
  const withQuery = (make, left = variables) => () => {
    const query = make();
    const candidate = { ...request, query, variables: left };
    return query !== undefined && sizeOf(candidate) < size ? candidate : undefined;
  };

  return [
    ...Object.keys(behaviour).map((key) => () => ({ ...request, behaviour: without(behaviour, key) })),
    ...[...smaller(variables)].map((value) => () => ({ ...request, variables: value })),
    ...(operationName == null ? [] : [() => ({ ...request, operationName: null })]),
    // First as it is, but printed: without comments and superfluous commas.
    ...(isPrinted ? [] : [() => ({ ...request, query: print(document) })]),
    ...(document ? documentSteps(document) : []).map((make) => withQuery(make)),
    ...(document ? Object.keys(variables) : [])
      .map((name) => withQuery(() => printed(tidy(inlined(document, name, variables[name]))), without(variables, name))),
    // Where printing it removes the difference, the difference is in the text.
    ...(document && isPrinted ? [] : textSteps(request.query)).map((make) => withQuery(make)),
  ];
}

/** Returns the length of a request's query and variables, in which the white space of a printed document does not count. */
function sizeOf({ query, variables = {} }) {
  return query.replaceAll(/\n *| +/g, ' ').length + stringify(variables).length;
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

function documentSteps(document) {
  let count = 0;
  visit(document, { enter: () => void (count += 1) });
  const targets = [...Array(count).keys()];
  return [
    ...targets.map((target) => () => printed(tidy(deleted(document, target)))),
    ...targets.map((target) => () => printed(tidy(unwrapped(document, target)))),
  ];
}

/** Returns the document without its node number `target`. */
function deleted(document, target) {
  let number = 0;
  return visit(document, {
    enter(node, key, parent) {
      return number++ === target && isOptional(node, key, parent) ? null : undefined;
    },
  });
}

/** Returns whether a node's parent can do without it. */
function isOptional(node, key, parent) {
  if (LISTED.includes(node.kind) || ['alias', 'defaultValue', 'description'].includes(key)) return true;
  if (Array.isArray(parent)) return node.kind.endsWith('Value') || node.kind === 'Variable';
  return (key === 'typeCondition' && parent.kind === 'InlineFragment') || (key === 'name' && parent.kind === 'OperationDefinition');
}

/** Returns the document with the fragment at node number `target` replaced by its selections, or by a plainer fragment. */
function unwrapped(document, target) {
  let number = 0;
  const fragments = new Map(document.definitions.map((definition) => [definition.name?.value, definition]));
  const inlined = visit(document, {
    enter(node) {
      if (number++ !== target) return undefined;
      const fragment = node.kind === 'FragmentSpread' ? fragments.get(node.name.value) : undefined;
      if (fragment) return { ...fragment, kind: 'InlineFragment', name: undefined };
      return node.kind === 'InlineFragment' ? { ...node, hoisted: true } : undefined;
    },
  });

  return visit(inlined, {
    SelectionSet: {
      leave: (node) => ({
        ...node,
        selections: node.selections.flatMap((one) => (one.hoisted ? one.selectionSet.selections : [one])),
      }),
    },
  });
}

/** Returns the document with this value in place of a variable. */
function inlined(document, name, value) {
  return visit(document, {
    VariableDefinition: () => false,
    Variable: (variable) => (variable.name.value === name ? literal(value) : undefined),
  });
}

/** Returns the literal of a value of JSON. Where an enum's value is wanted, a string is none, and the request is another. */
function literal(value) {
  if (value === null) return { kind: Kind.NULL };
  if (Array.isArray(value)) return { kind: Kind.LIST, values: value.map(literal) };
  if (typeof value === 'string') return { kind: Kind.STRING, value };
  if (typeof value === 'boolean') return { kind: Kind.BOOLEAN, value };
  if (typeof value === 'number' || value instanceof RawNumber) return { kind: Kind.FLOAT, value: stringify(value) };

  const fields = Object.entries(value).map(([name, field]) => ({
    kind: Kind.OBJECT_FIELD,
    name: { kind: Kind.NAME, value: name },
    value: literal(field),
  }));
  return { kind: Kind.OBJECT, fields };
}

/** Returns the document without variables and fragments that nothing uses any more. */
function tidy(document) {
  const used = new Set();
  visit(document, {
    VariableDefinition: () => false,
    Variable: ({ name }) => void used.add(`$${name.value}`),
    FragmentSpread: ({ name }) => void used.add(name.value),
  });

  const result = visit(document, {
    VariableDefinition: ({ variable }) => (used.has(`$${variable.name.value}`) ? false : null),
    FragmentDefinition: ({ name }) => (used.has(name.value) ? undefined : null),
  });
  return result.definitions.length < document.definitions.length ? tidy(result) : result;
}

function printed(document) {
  try {
    const text = print(document);
    parse(text);
    return text;
  } catch {
    // The deletion left no document.
    return undefined;
  }
}

function textSteps(text) {
  const pieces = text.split(/([{}()[\]:!$@,\s])/).filter((piece) => piece !== '');
  const steps = [];
  for (let size = Math.floor(pieces.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < pieces.length; from += size) {
      steps.push(() => [...pieces.slice(0, from), ...pieces.slice(from + size)].join(''));
    }
  }
  return steps;
}

function parsed(text) {
  try {
    return parse(text, { noLocation: true });
  } catch {
    return undefined;
  }
}
