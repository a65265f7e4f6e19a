// The run of the oracle: generated and named requests, answered by both sides.
// node oracle/main.mjs [--documents 8000 | --full] [--seed 1] [--only NUMBER] [--harness PROGRAM [ARGUMENT]...]

import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { compare } from './compare.mjs';
import { Coverage, FEWEST } from './coverage.mjs';
import { Generator } from './generate.mjs';
import { Harness } from './harness.mjs';
import { introspectionFaults } from './introspection.mjs';
import { named } from './named.mjs';
import { stringify } from './json.mjs';
import { Reference } from './reference.mjs';
import { makeSchema } from './schema.mjs';
import { shrink } from './shrink.mjs';
import { makeWorld } from './world.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    documents: { type: 'string', default: '8000' },
    seed: { type: 'string', default: '1' },
    full: { type: 'boolean', default: false },
    only: { type: 'string' },
    harness: { type: 'string', default: process.env.DEALWIRE_ORACLE ?? defaultHarness() },
  },
});

/** Requests that are on their way at the same time; the harness answers one after the other. */
const WINDOW = 64;
/** Most differences that are looked at, and most of one kind that are shrunk and printed. */
const MAX_REPORTED = 200;
const MAX_OF_A_KIND = 4;

accessSync(options.harness, constants.X_OK);
const seed = Number(options.seed);
const documents = options.full ? 100_000 : Number(options.documents);
const schema = makeSchema();
const world = makeWorld(seed);
const reference = new Reference(schema, world);
const generator = new Generator(schema, world);
const coverage = new Coverage(schema);
const harness = new Harness([options.harness, ...positionals], world);
const special = named(world);
const differences = [];

if (options.only === undefined) {
  await run();
} else {
  await show(generator.request(seed, Number(options.only)));
}
harness.stop();

async function run() {
  const faults = await introspectionFaults(harness);
  for (const request of special) await check({ stratum: 'named', ...request, label: request.name });
  const namedDifferences = differences.length;

  for (let from = 0; from < documents; from += WINDOW) {
    const numbers = Array.from({ length: Math.min(WINDOW, documents - from) }, (_, index) => from + index);
    const requests = numbers.map((number) => ({ ...generator.request(seed, number), label: `number ${number}` }));
    const results = await Promise.all(requests.map(differenceOf));

    for (const [index, { answer, difference }] of results.entries()) {
      coverage.add(requests[index], answer);
      // A program that ends takes the answers to later requests with it: asked alone, the one that ended it shows itself.
      if (difference) await check(requests[index]);
    }
  }
  await report(namedDifferences, faults);
}

/** Compares the two answers to a request and keeps a difference that is not known, or one that is known and gone. */
async function check(request) {
  const { difference } = await differenceOf(request);
  // Edits may make a document that is beyond our limits, which graphql-js does not have.
  if (difference?.kind === 'limit' && request.stratum === 'tokens') return;
  if (difference?.kind !== request.known) differences.push({ request, difference: difference ?? { kind: 'known difference is gone' } });
}

async function differenceOf(request) {
  const plain = JSON.parse(stringify(request));
  const [answer, line] = await Promise.all([reference.answer(plain), harness.answer(request)]);
  return { difference: compare(answer, line), answer, line };
}

async function report(namedDifferences, faults) {
  for (const [result, count] of [...coverage.strata].sort()) console.log(`${String(count).padStart(7)}  ${result}`);
  console.log(coverage.summary());
  const missing = documents >= 8_000 ? coverage.missing() : [];
  for (const line of missing) console.log(`reached fewer than ${FEWEST} times: ${line}`);
  for (const fault of faults.slice(0, MAX_OF_A_KIND)) console.log(`introspection: ${fault}`);

  const kinds = new Map();
  for (const { request, difference } of differences.slice(0, MAX_REPORTED)) {
    const kind = `${request.stratum} ${difference.kind} ${difference.harness?.slice(0, 40)}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (kinds.get(kind) <= MAX_OF_A_KIND) await explain(request, difference);
  }
  console.log(`${special.length} named and ${documents} generated documents with seed ${seed}: ${differences.length} differences`
    + ` (${namedDifferences} named)`);
  if (differences.length + missing.length + faults.length > 0) process.exitCode = 1;
}

/** Prints the smallest request with the same kind of difference. */
async function explain(request, { kind }) {
  const smallest = await shrink(request, async (candidate) => {
    const { difference } = await differenceOf(candidate);
    return difference?.kind === kind;
  });
  const { difference } = await differenceOf(smallest);

  console.log(`\n== ${request.label} (${request.stratum}${request.rule ? `, ${request.rule}` : ''}): ${kind}`);
  // Characters that a terminal does not show are escaped.
  console.log(/[^\n -~]/.test(smallest.query) ? JSON.stringify(smallest.query) : smallest.query);
  const { operationName, variables, behaviour } = smallest;
  console.log(stringify({ operationName, variables, behaviour }));
  console.log(`reference: ${difference?.reference}\nharness:   ${difference?.harness}`);
}

async function show(request) {
  const { difference, answer, line } = await differenceOf(request);
  console.log(request.query);
  console.log(stringify({ ...request, query: undefined }));
  const { data, errors, stage, rules, violations, calls } = answer;
  const shown = calls?.map(({ field, key, arguments: args }) => ({ field, key, arguments: args }));
  console.log(`reference: ${JSON.stringify({ stage, rules, violations, data, errors, calls: shown })}\nharness:   ${line}`);
  console.log(difference ?? 'no difference');
}

function defaultHarness() {
  return fileURLToPath(new URL('../../target/debug/examples/document_oracle', import.meta.url));
}
