// The introspection queries of graphql-js 16 and 17 with every combination of their options: what clients build from the
// answers is the schema of schema.graphql.

import * as graphql16 from 'graphql';
import * as graphql17 from 'graphql17';
import { SDL } from './schema.mjs';

const OPTIONS = ['descriptions', 'specifiedByUrl', 'directiveIsRepeatable', 'schemaDescription', 'inputValueDeprecation', 'oneOf'];

/** Returns what is wrong with the answers to introspections, one line for each combination of options. */
export async function introspectionFaults(harness) {
  const faults = [];
  for (const graphql of [graphql16, graphql17]) {
    for (const options of combinations()) {
      const fault = await faultOf(graphql, options, (query) => harness.answer({ query }));
      if (fault) faults.push(`graphql ${graphql.version} with ${JSON.stringify(options)}: ${fault}`);
    }
  }
  return faults;
}

function combinations() {
  const all = Array.from({ length: 2 ** OPTIONS.length }, (_, bits) => bits);
  return all.map((bits) => Object.fromEntries(OPTIONS.map((option, index) => [option, ((bits >> index) & 1) === 1])));
}

async function faultOf(graphql, options, ask) {
  const answer = JSON.parse(await ask(graphql.getIntrospectionQuery(options)));
  if (!answer.data || answer.errors?.length > 0) return JSON.stringify(answer).slice(0, 300);

  // What the options leave out is missing on both sides.
  const expected = graphql.introspectionFromSchema(graphql.buildSchema(SDL), options);
  return [answer.data, expected].map((data) => sdlOf(graphql, data)).reduce((ours, theirs) => difference(ours, theirs));
}

function sdlOf(graphql, data) {
  return graphql.printSchema(graphql.lexicographicSortSchema(graphql.buildClientSchema(data)));
}

function difference(ours, theirs) {
  const expected = theirs.split('\n');
  const line = ours.split('\n').findIndex((text, index) => text !== expected[index]);
  return ours === theirs ? undefined : `line ${line + 1}: ${ours.split('\n')[line]} instead of ${expected[line]}`;
}
