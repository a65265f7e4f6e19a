// Faults of literals and of variables in the wrong position.

import { getNamedType, getNullableType, isEnumType, isInputObjectType, isListType, isNonNullType, isRequiredInputField, Kind, parseType,
  parseValue } from 'graphql17';
import { name, variable } from './values.mjs';

/** Literals that no value of the type has. */
const WRONG = {
  Int: ['2147483648', '-2147483649', '2.0', '1e2', '"1"', 'true', 'ONE', '{}', '{a: 1}'],
  Float: ['"1"', 'true', 'ONE', '{}'],
  Boolean: ['0', '1', '"true"', 'TRUE', '{}'],
  String: ['1', '1.5', 'true', 'TEXT', '{}', '{a: "b"}'],
  ID: ['1.5', '2.0', 'true', 'NAME', '{}'],
  Currency: ['1', 'GBP', 'true', '{}', '{code: "GBP"}', '1.5'],
  Position: ['1', 'A', 'false', '{}'],
  DateTime: [
    '1', '"yesterday"', '"2026-02-30T00:00:00Z"', '"2026-01-01"', '"2026-01-01T24:00:00Z"', '"2026-01-01T00:00:60Z"', '""',
    '"2026-01-01T00:00:00"', '"2026-01-01T00:00:00.Z"', '"+2026-01-01T00:00:00Z"', '"2026-01-01T00:00:00+24:00"', 'NOW',
    '" 2026-01-01T00:00:00Z"', 'true', '{}', '"2023-02-29T00:00:00Z"', '"2026-01-01T00:00:00+00:60"', '"2026-01-01T00:00Z"',
  ],
  MinorUnits: ['0.5', '1e-1', '"1"', 'true', 'ONE', '{}', '129900.01'],
};

const VARIABLE_TYPES = [
  'Int', 'String', 'ID', 'Boolean!', '[Int]', 'DealFilter', '[ID!]!', 'DealStatus', 'MinorUnits!', 'DiscountInput', 'Float',
  '[[ID]]',
];
const WRONG_ONE_OFS = [
  '{}', '{amount: 1, percentage: 2}', '{amount: null}', '{percentage: null}', '{amount: null, percentage: 1}', '{other: 1}',
];

export const faultsOfValues = {
  ValuesOfCorrectTypeRule(context) {
    const changes = [wrongLeaf, wrongLeaf, wrongLeaf, wrongNull, wrongItem, wrongObject, wrongObject, wrongDefault, wrongOneOf];
    return context.random.shuffled(changes).some((change) => change(context));
  },

  UniqueInputFieldNamesRule({ sites, random }) {
    const [site] = random.shuffled(sites.objects.filter(({ node }) => node.fields.length > 0));
    if (!site) return false;
    site.node.fields.push(structuredClone(random.pick(site.node.fields)));
    return true;
  },

  VariablesInAllowedPositionRule({ sites, random }) {
    const used = sites.variables.map(({ node }) => node);
    const uses = sites.values.filter(({ node }) => node.kind === Kind.VARIABLE);
    const [use] = random.shuffled(uses);
    const definition = use && used.find((one) => one.variable.name.value === use.node.name.value);
    if (!definition) return nullableInOneOf(sites);

    const isRequired = isNonNullType(use.type) && definition.type.kind === Kind.NON_NULL_TYPE;
    definition.defaultValue = undefined;
    if (isRequired && random.chance(0.5)) {
      definition.type = definition.type.type;
    } else {
      const others = VARIABLE_TYPES.filter((text) => getNamedType(use.type).name !== text.replace(/[[\]!]/g, ''));
      definition.type = parseType(random.pick(others), { noLocation: true });
    }
    return true;
  },
};

/** Puts a nullable variable where a @oneOf object wants one that is not null. */
function nullableInOneOf(sites) {
  const site = sites.objects.find(({ type }) => getNamedType(type).isOneOf);
  if (!site) return false;
  site.set(object('percentage', variable('maybe')));
  sites.operations[0].variableDefinitions = [...(sites.operations[0].variableDefinitions ?? []), {
    kind: Kind.VARIABLE_DEFINITION, variable: variable('maybe'), type: parseType('Float', { noLocation: true }), directives: [],
  }];
  return true;
}

function wrongLeaf({ sites, random }) {
  const [site] = random.shuffled(sites.values.filter(({ type }) => !isInputObjectType(getNamedType(type))));
  if (!site) return false;
  const type = getNamedType(site.type);
  const texts = isEnumType(type) ? [`"${type.getValues()[0].name}"`, '0', 'NO_SUCH_VALUE', 'true', 'available', '{}'] : WRONG[type.name];
  site.set(literal(random.pick(texts)));
  return true;
}

function wrongNull({ sites, random }) {
  const [site] = random.shuffled(sites.values.filter(({ type }) => isNonNullType(type)));
  site?.set({ kind: Kind.NULL });
  return site !== undefined;
}

function wrongItem({ sites, random }) {
  const [site] = random.shuffled(sites.values.filter(({ type }) => isListType(getNullableType(type))));
  if (!site) return false;
  const wrong = random.pick(['null', '[]', '[[1]]', '1.5', '{unknown: 1}']);
  const values = site.node.kind === Kind.LIST ? site.node.values : [];
  site.set({ kind: Kind.LIST, values: [...values, literal(wrong)] });
  return true;
}

function wrongObject({ sites, random }) {
  const [site] = random.shuffled(sites.objects.filter(({ type }) => !getNamedType(type).isOneOf));
  if (!site) return false;

  const required = Object.values(getNamedType(site.type).getFields()).filter(isRequiredInputField);
  if (required.length > 0 && random.chance(0.4)) {
    const missing = random.pick(required).name;
    site.node.fields = site.node.fields.filter((field) => field.name.value !== missing);
  } else if (random.chance(0.3)) {
    site.set(literal(random.pick(['"text"', '1', '[1]', 'NAME', 'true'])));
  } else {
    site.node.fields.push(...object(random.pick(['unknown', 'discuont', 'expectedversion', 'ID']), literal('1')).fields);
  }
  return true;
}

function wrongDefault({ sites, random }) {
  const [site] = random.shuffled(sites.variables);
  if (!site) return false;
  const { type } = site.node;
  site.node.defaultValue = literal(type.kind === Kind.NON_NULL_TYPE && random.chance(0.5) ? 'null' : '{unknown: [1.5]}');
  return true;
}

function wrongOneOf({ sites, random }) {
  const [site] = random.shuffled(sites.values.filter(({ type }) => getNamedType(type).isOneOf));
  site?.set(literal(random.pick(WRONG_ONE_OFS)));
  return site !== undefined;
}

function literal(text) {
  return parseValue(text, { noLocation: true });
}

function object(fieldName, value) {
  return { kind: Kind.OBJECT, fields: [{ kind: Kind.OBJECT_FIELD, name: name(fieldName), value }] };
}
