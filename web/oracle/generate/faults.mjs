// Changes that make a valid document invalid in exactly one way, by the rule of graphql-js that they break.

import { faultsOfNames } from './faults_of_names.mjs';
import { faultsOfSelections } from './faults_of_selections.mjs';
import { faultsOfValues } from './faults_of_values.mjs';

/**
 * Changes by rule. Each is a function of `{document, sites, random, schema, values}` that changes the document and
 * returns true, or returns false if the document has no place for it.
 */
export const FAULTS = { ...faultsOfNames, ...faultsOfSelections, ...faultsOfValues };

/** Rules of graphql-js that no document can break here, with the reason. */
export const UNBREAKABLE = {
  KnownOperationTypesRule: 'the schema has all three root types',
  DeferStreamDirectiveOnRootFieldRule: 'the schema has no @defer and no @stream',
  DeferStreamDirectiveOnValidOperationsRule: 'the schema has no @defer and no @stream',
  DeferStreamDirectiveLabelRule: 'the schema has no @defer and no @stream',
  StreamDirectiveOnListFieldRule: 'the schema has no @defer and no @stream',
};
