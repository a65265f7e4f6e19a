// Places of a document where something can be changed.

import { getNamedType, isCompositeType, isInputObjectType, Kind, TypeInfo, visit, visitWithTypeInfo } from 'graphql17';

/**
 * Returns the places of a document by kind. Every entry has its `node`; fields have their `parent` type, `field`
 * definition and `siblings`, values their `type` and a function `set` that replaces them.
 */
export function sitesOf(schema, document) {
  const info = new TypeInfo(schema);
  const sites = { fields: [], leaves: [], composites: [], sets: [], values: [], objects: [], spreads: [], directives: [] };

  visit(document, visitWithTypeInfo(info, {
    Field(node, _key, siblings) {
      const site = { node, siblings, parent: info.getParentType(), field: info.getFieldDef() };
      if (!site.field) return;
      sites.fields.push(site);
      sites[isCompositeType(getNamedType(site.field.type)) ? 'composites' : 'leaves'].push(site);
    },
    SelectionSet(node, _key, parent) {
      sites.sets.push({ node, parent, type: info.getParentType() });
    },
    FragmentSpread(node) {
      sites.spreads.push({ node });
    },
    Directive(node, _key, siblings) {
      sites.directives.push({ node, siblings });
    },
    Argument: (node) => addValue(sites, node, info),
    ObjectField: (node) => addValue(sites, node, info),
  }));

  const { definitions } = document;
  return {
    ...sites,
    operations: definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION),
    fragments: definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION),
    variables: definitions.flatMap(({ variableDefinitions = [] }) => variableDefinitions.map((node) => ({ node }))),
  };
}

function addValue(sites, node, info) {
  const type = info.getInputType();
  if (!type) return;

  const site = { node: node.value, owner: node, type, set: (value) => (node.value = value) };
  sites.values.push(site);
  if (node.value.kind === Kind.OBJECT && isInputObjectType(getNamedType(type))) sites.objects.push(site);
}
