// Selections that introspect the schema.

import { parse } from 'graphql17';
import { isBuiltIn } from '../compare.mjs';

const LEAVES = {
  type: 'kind name description specifiedByURL isOneOf',
  field: 'name description isDeprecated deprecationReason',
  input: 'name description defaultValue isDeprecated deprecationReason',
  value: 'name description isDeprecated deprecationReason',
  directive: 'name description isRepeatable locations',
};

/** Returns the node of a root field `__schema` or `__type`. */
export function introspections({ random, schema }) {
  const names = [...Object.keys(schema.getTypeMap()).filter((name) => !isBuiltIn(name)), 'NoSuchType'];
  const text = random.chance(0.4)
    ? `__schema { ${schemaFields(random)} }`
    : `__type(name: ${JSON.stringify(random.pick(names))}) { ${typeFields(random, 2)} }`;

  const alias = random.chance(0.4) ? `meta${random.integer(0, 99)}: ` : '';
  const document = parse(`{ ${alias}${text} }`, { noLocation: true });
  return document.definitions[0].selectionSet.selections[0];
}

function schemaFields(random) {
  const parts = [
    'description', 'queryType { name }', 'mutationType { kind name }', 'subscriptionType { name }', '__typename',
    // By their names, the comparison leaves out what is built in: libraries differ in its descriptions and in proposals.
    `types { name ${typeFields(random, 1)} }`,
    `directives { name ${leaves(random, LEAVES.directive)} args${deprecated(random)} { ${leaves(random, LEAVES.input)} } }`,
  ];
  return some(random, parts);
}

function typeFields(random, depth) {
  const reference = 'type { kind name ofType { kind name ofType { name ofType { name } } } }';
  const parts = [leaves(random, LEAVES.type)];
  if (depth > 0) {
    parts.push(
      `fields${deprecated(random)} { ${leaves(random, LEAVES.field)} ${random.chance(0.5) ? reference : ''}
        args${deprecated(random)} { ${leaves(random, LEAVES.input)} ${random.chance(0.5) ? reference : ''} } }`,
      `inputFields${deprecated(random)} { ${leaves(random, LEAVES.input)} ${reference} }`,
      `enumValues${deprecated(random)} { ${leaves(random, LEAVES.value)} }`,
      `interfaces { ${typeFields(random, 0)} }`,
      `possibleTypes { ${typeFields(random, 0)} }`,
      'ofType { name }',
    );
  }
  return some(random, parts);
}

function deprecated(random) {
  return random.chance(0.4) ? '' : `(includeDeprecated: ${random.pick(['true', 'false'])})`;
}

function leaves(random, names) {
  return some(random, names.split(' '));
}

function some(random, parts) {
  const chosen = parts.filter(() => random.chance(0.6));
  return (chosen.length > 0 ? chosen : [random.pick(parts)]).join(' ');
}
