// Faults of definitions and of names: operations, fragments, variables, types and directives.

import { Kind, parse, parseType } from 'graphql17';
import { name, variable } from './values.mjs';

export const faultsOfNames = {
  ExecutableDefinitionsRule: (context) => append(context, [
    'type Extra { a: Int }', 'extend type Deal { a: Int }', 'directive @extra on FIELD', 'schema { query: Query }',
    'scalar Extra', 'extend schema @skip(if: true)', 'input Extra { a: Int }', 'enum Extra { A }',
  ]),

  UniqueOperationNamesRule(context) {
    const [operation] = context.sites.operations;
    operation.name ??= name('Same');
    const { value } = operation.name;
    return append(context, [`query ${value} { viewer { id } }`, `mutation ${value} { deleteWebhook(id: 1) { id } }`]);
  },

  LoneAnonymousOperationRule(context) {
    const named = context.sites.operations[0].name !== undefined;
    return append(context, named ? ['{ viewer { id } }', 'query { viewer { id } }'] : ['query Other { viewer { id } }']);
  },

  SingleFieldSubscriptionsRule({ sites, random }) {
    const operation = sites.operations.find((one) => one.operation === 'subscription');
    if (!operation) return false;

    const { selections } = operation.selectionSet;
    const add = (text) => (selections.splice(random.integer(0, selections.length), 0, ...selectionsOf(text)), true);
    const direct = (text) => {
      selections[0].directives = directivesOf(text);
      return true;
    };
    return random.pick([
      () => add('{ accessChanged { granted } other: accessChanged { position } }'),
      () => add('{ more: dealChanged { position } }'),
      () => add('{ __typename }'),
      () => add('{ ... on Subscription { t: __typename } }'),
      () => (selections.splice(0, selections.length, ...selectionsOf('{ __typename }')), true),
      () => direct('@skip(if: false)'),
      () => direct('@include(if: true)'),
    ])();
  },

  KnownTypeNamesRule({ sites, random }) {
    const unknown = { kind: Kind.NAMED_TYPE, name: name(random.pick(['Unknown', 'deal', 'Strin', '__Nothing'])) };
    const [set] = random.shuffled(sites.sets);
    const [definition] = random.shuffled(sites.variables);
    if (definition && random.chance(0.4)) {
      definition.node.type = unknown;
    } else if (sites.fragments.length > 0 && random.chance(0.5)) {
      sites.fragments[0].typeCondition = unknown;
    } else {
      set.node.selections.push(inline(unknown, '{ __typename }'));
    }
    return true;
  },

  FragmentsOnCompositeTypesRule({ sites, random }) {
    const types = ['String', 'Currency', 'DealStatus', 'DealFilter', 'ID', 'DiscountInput'];
    const leaf = { kind: Kind.NAMED_TYPE, name: name(random.pick(types)) };
    if (sites.fragments.length > 0 && random.chance(0.6)) sites.fragments[0].typeCondition = leaf;
    else random.pick(sites.sets).node.selections.push(inline(leaf, '{ __typename }'));
    return true;
  },

  VariablesAreInputTypesRule({ sites, random }) {
    const [definition] = random.shuffled(sites.variables);
    if (!definition) return false;
    definition.node.type = parseType(random.pick(['Deal', '[Deal!]', 'Node', 'Query!', 'PageInfo', '__Type']), { noLocation: true });
    definition.node.defaultValue = undefined;
    return true;
  },

  UniqueFragmentNamesRule({ document, sites, random }) {
    const [fragment] = random.shuffled(sites.fragments);
    if (!fragment) return false;
    document.definitions.push(structuredClone(fragment));
    return true;
  },

  KnownFragmentNamesRule({ sites, random }) {
    random.pick(sites.sets).node.selections.push({ kind: Kind.FRAGMENT_SPREAD, name: name('Nowhere'), directives: [] });
    return true;
  },

  NoUnusedFragmentsRule: (context) => append(context, [
    'fragment Unused on Deal { id }', 'fragment Unused on Query { viewer { id } }',
    'fragment Unused on Node { ... on Deal { name } }',
  ]),

  NoFragmentCyclesRule({ document, sites, random }) {
    const [fragment] = random.shuffled(sites.fragments);
    if (!fragment) return false;

    const spread = (to) => ({ kind: Kind.FRAGMENT_SPREAD, name: name(to), directives: [] });
    const { value } = fragment.name;
    const isDirect = random.chance(0.5);
    fragment.selectionSet.selections.push(spread(isDirect ? value : 'Cycle'));
    if (isDirect) return true;

    const selectionSet = { kind: Kind.SELECTION_SET, selections: [spread(value)] };
    document.definitions.push({ ...fragment, name: name('Cycle'), selectionSet });
    return true;
  },

  UniqueVariableNamesRule({ sites, random }) {
    const [operation] = sites.operations;
    if (!operation.variableDefinitions?.length) return false;
    operation.variableDefinitions.push(structuredClone(random.pick(operation.variableDefinitions)));
    return true;
  },

  NoUndefinedVariablesRule({ sites, random }) {
    const operation = sites.operations.find(({ variableDefinitions }) => variableDefinitions?.length > 0);
    if (operation && random.chance(0.6)) {
      operation.variableDefinitions.splice(random.integer(0, operation.variableDefinitions.length - 1), 1);
      return true;
    }
    const [site] = random.shuffled(sites.values);
    site?.set(variable('nowhere'));
    return site !== undefined;
  },

  NoUnusedVariablesRule({ sites, random }) {
    const types = ['Int', 'DealFilter = {}', '[ID!]! = []'];
    const [{ variableDefinitions }] = parse(`query($unused: ${random.pick(types)}) { a }`, { noLocation: true }).definitions;
    const [operation] = sites.operations;
    (operation.variableDefinitions ??= []).push(...variableDefinitions);
    return true;
  },

  KnownDirectivesRule({ sites, random }) {
    const add = (owner, texts) => {
      owner.directives = [...(owner.directives ?? []), ...directivesOf(random.pick(texts))];
      return true;
    };
    if (random.chance(0.6)) {
      return add(random.pick(sites.fields).node, ['@unknown', '@oneOf', '@deprecated', '@specifiedBy(url: "")', '@Skip(if: true)']);
    }
    const owners = [sites.operations[0], ...sites.fragments, ...sites.variables.map(({ node }) => node)];
    return add(random.pick(owners), ['@skip(if: false)', '@include(if: true)']);
  },

  UniqueDirectivesPerLocationRule({ sites, random }) {
    const [{ node }] = random.shuffled([...sites.fields, ...sites.spreads]);
    node.directives = directivesOf(random.pick(['@skip(if: false) @skip(if: false)', '@include(if: true) @include(if: false)']));
    return true;
  },
};

/** Adds one of the definitions at a random place. */
function append({ document, random }, texts) {
  const { definitions } = parse(random.pick(texts), { noLocation: true });
  document.definitions.splice(random.integer(0, document.definitions.length), 0, ...definitions);
  return true;
}

/** Returns the selections of a text in braces. */
export function selectionsOf(text) {
  return parse(text, { noLocation: true }).definitions[0].selectionSet.selections;
}

/** Returns the directives of a text. */
export function directivesOf(text) {
  return selectionsOf(`{ a ${text} }`)[0].directives;
}

/** Returns an inline fragment on a type. */
export function inline(typeCondition, text) {
  const selectionSet = { kind: Kind.SELECTION_SET, selections: selectionsOf(text) };
  return { kind: Kind.INLINE_FRAGMENT, typeCondition, directives: [], selectionSet };
}
