// Generated documents through the real gateway over HTTP, with the demo market.
// node oracle/gateway.mjs ../target/debug/dealwire [--documents 500] [--seed 1]
//
// Requests that are refused must be refused in the same way as by the reference. The data of an answer is the market's, which
// the reference does not know. It therefore executes the document on the answer itself: keys, their order, nulls, types and
// the paths of errors must come out as they went in.

import { parseArgs } from 'node:util';
import { execute, GraphQLError } from 'graphql17';
import { BUYER, SELLER, startGateway } from '../test/gateway.mjs';
import { compare, introspectionKeys, normalData } from './compare.mjs';
import { introspectionFaults } from './introspection.mjs';
import { Generator } from './generate.mjs';
import { parseJson, field, printJson, stringify } from './json.mjs';
import { Reference } from './reference.mjs';
import { makeSchema } from './schema.mjs';
import { makeWorld } from './world.mjs';

const { values: options, positionals: [binary] } = parseArgs({
  allowPositionals: true,
  options: { documents: { type: 'string', default: '500' }, seed: { type: 'string', default: '1' } },
});

/** Most differences that are printed, and most characters of each. */
const MAX_REPORTED = 20;
const MAX_TEXT = 3_000;

const seed = Number(options.seed);
const schema = makeSchema();
const gateway = await startGateway(binary);
const world = await marketWorld();
const reference = new Reference(schema, world);
const generator = new Generator(schema, world);
const results = { refused: 0, data: 0 };
const faults = await introspectionFaults({ answer: async (request) => (await send(request, BUYER)).text });

for (let number = 0, done = 0; done < Number(options.documents); number += 1) {
  const request = { ...generator.request(seed, number), behaviour: {} };
  const answer = await reference.answer(JSON.parse(stringify(request)));
  // Over HTTP without a stream, a subscription is refused for that reason.
  if (answer.operation?.operation === 'subscription' || answer.stage === 'subscription') continue;
  done += 1;

  const { text, body } = await send(request, number % 2 === 0 ? SELLER : BUYER);
  results['data' in body ? 'data' : 'refused'] += 1;
  const fault = answer.stage ? faultOfRefusal(answer, body) : await faultOfData(answer, request, text, body);
  const variables = stringify(request.variables ?? {});
  if (fault) faults.push(`number ${number} (${request.stratum}): ${fault}\n${request.query}\n${variables}\n${text}`);
}

for (const fault of faults.slice(0, MAX_REPORTED)) console.log(`${fault.slice(0, MAX_TEXT)}\n`);
console.log(`${results.refused} refusals and ${results.data} results over HTTP with seed ${seed}: ${faults.length} differences`);
await gateway.stop();
if (faults.length > 0 || results.refused === 0 || results.data === 0) process.exitCode = 1;

/** Returns a world whose ids of deals are those of the demo market, so that some requests find something. */
async function marketWorld() {
  const { body } = await send({ query: '{ dealsForSeller(first: 20) { nodes { id } } }' }, SELLER);
  const ids = body.data.dealsForSeller.nodes.map(({ id }) => id);
  const made = makeWorld(seed);
  return { ...made, deals: made.deals.map((deal, index) => ({ ...deal, id: ids[index % ids.length] })) };
}

async function send({ query, operationName, variables }, key) {
  const response = await fetch(gateway.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': key },
    body: stringify({ query, operationName, variables }),
  });
  const text = await response.text();
  return { text, body: JSON.parse(text) };
}

function faultOfRefusal(answer, { data, errors }) {
  if (data !== undefined || !errors) return `refused at ${answer.stage} by the reference only`;

  const request = errors.map(({ extensions }) => ({ code: extensions.code }));
  const violations = errors.flatMap(({ extensions }) => (extensions.fields ?? []).map(({ path }) => path));
  const difference = compare(answer, JSON.stringify({ request, violations }));
  return difference && `${difference.kind}: ${difference.reference} and not ${difference.harness}`;
}

/** Executes the document on the answer, and returns what is different then. */
async function faultOfData({ document, operation }, { operationName, variables }, text, { data, errors = [] }) {
  if (data === undefined) return 'refused by the gateway only';

  const failed = new Set(errors.map(({ path }) => path?.join('.')));
  const result = await execute({
    schema,
    document,
    operationName,
    variableValues: JSON.parse(stringify(variables ?? {})),
    // The only ids that a request has found are those of deals.
    typeResolver: () => 'Deal',
    fieldResolver: (source, _args, _context, { path }) => {
      if (path.prev === undefined && failed.has(path.key)) throw new GraphQLError('the root failed');
      return path.prev === undefined ? data?.[path.key] : source[path.key];
    },
  });

  const paths = (list) => [...new Set(list.map(({ path }) => JSON.stringify(path)))].sort().join(' ');
  const expected = normalData(JSON.stringify(result.data), introspectionKeys(document));
  const actual = normalData(printJson(field(parseJson(text), 'data')), introspectionKeys(document));
  if (expected !== actual) return `data of a ${operation.operation}: ${expected}`;
  if (paths(result.errors ?? []) !== paths(errors)) return `paths of errors: ${paths(result.errors ?? [])}`;
  return undefined;
}
