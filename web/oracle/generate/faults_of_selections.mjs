// Faults of fields, selections and arguments.

import { getNamedType, isObjectType, isRequiredArgument, Kind } from 'graphql17';
import { directivesOf, inline, selectionsOf } from './faults_of_names.mjs';
import { name } from './values.mjs';

export const faultsOfSelections = {
  ScalarLeafsRule({ sites, random }) {
    const isLeaf = random.chance(0.5) && sites.leaves.length > 0;
    const [site] = random.shuffled(isLeaf ? sites.leaves : sites.composites);
    if (!site) return false;
    site.node.selectionSet = isLeaf ? { kind: Kind.SELECTION_SET, selections: selectionsOf('{ id }') } : undefined;
    return true;
  },

  FieldsOnCorrectTypeRule({ sites, random }) {
    const set = random.pick(sites.sets.filter(({ type }) => type));
    const unknown = random.pick(['nothing', 'Name', 'ID', '__schema', '_id', 'finalprice', '__typeName']);
    if (set.type.getFields()[unknown] || (unknown === '__schema' && set.type.name === 'Query')) return false;
    set.node.selections.push(...selectionsOf(unknown === '__schema' ? '{ __schema { description } }' : `{ ${unknown} }`));
    return true;
  },

  PossibleFragmentSpreadsRule({ document, sites, random }) {
    const sets = sites.sets.filter(({ type }) => isObjectType(type));
    if (sets.length === 0) return false;
    const { node, type } = random.pick(sets);
    const other = random.pick(['Deal', 'Webhook', 'PageInfo', 'Query', 'Mutation', 'Node'].filter((one) => one !== type.name));
    if (other === 'Node' && type.getInterfaces().length > 0) return false;

    const condition = { kind: Kind.NAMED_TYPE, name: name(other) };
    if (random.chance(0.5)) {
      node.selections.push(inline(condition, '{ __typename }'));
    } else {
      document.definitions.push({ ...inline(condition, '{ __typename }'), kind: Kind.FRAGMENT_DEFINITION, name: name('Foreign') });
      node.selections.push({ kind: Kind.FRAGMENT_SPREAD, name: name('Foreign'), directives: [] });
    }
    return true;
  },

  KnownArgumentNamesRule({ sites, random }) {
    const [site] = random.shuffled([...sites.fields, ...sites.directives]);
    const texts = ['unknown: 1', 'IF: true', 'Id: null', 'input_: {}'];
    const [{ arguments: extra }] = selectionsOf(`{ a(${random.pick(texts)}) }`);
    site.node.arguments = [...(site.node.arguments ?? []), ...extra];
    return true;
  },

  UniqueArgumentNamesRule({ sites, random }) {
    const [site] = random.shuffled([...sites.fields, ...sites.directives].filter(({ node }) => node.arguments?.length > 0));
    if (!site) return false;
    site.node.arguments.push(structuredClone(random.pick(site.node.arguments)));
    return true;
  },

  ProvidedRequiredArgumentsRule({ sites, random }) {
    const required = sites.fields.filter(({ field }) => field.args.some(isRequiredArgument));
    const [site] = random.shuffled(required);
    if (!site || random.chance(0.2)) {
      random.pick(sites.fields).node.directives = directivesOf(random.pick(['@skip', '@include']));
      return true;
    }
    const { node, field } = site;
    const missing = random.pick(field.args.filter(isRequiredArgument)).name;
    node.arguments = node.arguments.filter((argument) => argument.name.value !== missing);
    return true;
  },

  OverlappingFieldsCanBeMergedRule({ sites, random }) {
    const choices = [otherField, otherArguments, otherBelow, otherType, otherInFragment];
    return random.shuffled(choices).some((choice) => choice(sites, random));
  },

  MaxIntrospectionDepthRule({ sites, random }) {
    const operation = sites.operations.find((one) => one.operation === 'query');
    if (!operation) return false;
    operation.selectionSet.selections.push(...selectionsOf(random.pick([
      '{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }',
      '{ deep: __type(name: "Deal") { interfaces { possibleTypes { interfaces { possibleTypes { name } } } } } }',
      '{ deep: __type(name: "Deal") { fields { type { ofType { fields { type { inputFields { name } } } } } } } }',
    ])));
    return true;
  },
};

/** Selects another field under the key of one that is selected already. */
function otherField(sites, random) {
  const [site] = random.shuffled(sites.leaves.filter(({ parent }) => isObjectType(parent) && leavesOf(parent).length > 1));
  if (!site) return false;
  const { node, parent, siblings } = site;
  const other = random.pick(leavesOf(parent).filter((field) => field.name !== node.name.value));
  const alias = name((node.alias ?? node.name).value);
  siblings.push({ kind: Kind.FIELD, name: name(other.name), alias, arguments: [], directives: [] });
  return true;
}

/** Selects a field again with other arguments. */
function otherArguments(sites, random) {
  const [site] = random.shuffled(sites.fields.filter(({ node }) => node.arguments?.length > 0));
  if (!site) return false;

  const copy = structuredClone(site.node);
  const argument = random.pick(copy.arguments);
  if (argument.value.kind === Kind.NULL) return false;
  if (argument.value.kind === Kind.STRING) argument.value.value += '.';
  else copy.arguments = copy.arguments.filter((one) => one !== argument);
  site.siblings.push(copy);
  return argument.value.kind === Kind.STRING || !isRequiredArgument(site.field.args.find((arg) => arg.name === argument.name.value));
}

/** Selects a field again whose selections conflict with those of the first. */
function otherBelow(sites, random) {
  const object = ({ field }) => getNamedType(field.type);
  const [site] = random.shuffled(sites.composites.filter((one) => isObjectType(object(one)) && leavesOf(object(one)).length > 1));
  if (!site) return false;

  const [first, second] = random.shuffled(leavesOf(object(site)));
  const copy = structuredClone(site.node);
  site.node.selectionSet.selections.push(...selectionsOf(`{ clash: ${first.name} }`));
  copy.selectionSet = { kind: Kind.SELECTION_SET, selections: selectionsOf(`{ clash: ${second.name} }`) };
  site.siblings.push(copy);
  return true;
}

/** Selects fields of different types under one key in types that exclude each other. */
function otherType(sites, random) {
  const set = sites.sets.find(({ type }) => type?.name === 'Node');
  if (!set) return false;
  set.node.selections.push(...selectionsOf(random.pick([
    '{ ... on Deal { clash: version } ... on Webhook { clash: url } }',
    '{ ... on Deal { clash: name } ... on Webhook { clash: description } }',
    '{ ... on Webhook { clash: state } ... on WebhookDelivery { clash: state } }',
    '{ ... on Deal { clash: items { x: id } } ... on WebhookDelivery { clash: attempts { x: number } } }',
    '{ ... on Deal { clash: discount { type } } ... on Webhook { clash: state } }',
  ])));
  return true;
}

/** Puts the field with the conflict into a fragment. */
function otherInFragment(sites, random) {
  const [site] = random.shuffled(sites.leaves.filter(({ parent }) => isObjectType(parent) && leavesOf(parent).length > 1));
  if (!site) return false;
  const { node, parent, siblings } = site;
  const other = random.pick(leavesOf(parent).filter((field) => field.name !== node.name.value));
  const key = (node.alias ?? node.name).value;
  siblings.push(inline({ kind: Kind.NAMED_TYPE, name: name(parent.name) }, `{ ... { ${key}: ${other.name} } }`));
  return true;
}

/** Returns the fields of a type that have neither selections nor required arguments. */
function leavesOf(type) {
  const isLeaf = (field) => !('getFields' in getNamedType(field.type)) && !field.args.some(isRequiredArgument);
  return Object.values(type.getFields()).filter(isLeaf);
}
