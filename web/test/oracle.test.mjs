import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, normalData } from '../oracle/compare.mjs';
import { FAULTS } from '../oracle/generate/faults.mjs';
import { Generator } from '../oracle/generate.mjs';
import { stringify } from '../oracle/json.mjs';
import { named } from '../oracle/named.mjs';
import { CODES, Reference } from '../oracle/reference.mjs';
import { makeSchema } from '../oracle/schema.mjs';
import { shrink } from '../oracle/shrink.mjs';
import { makeWorld } from '../oracle/world.mjs';

const schema = makeSchema();
const world = makeWorld(1);
const reference = new Reference(schema, world);
const generator = new Generator(schema, world);

const answerTo = (request) => reference.answer(JSON.parse(stringify(request)));

/** Returns an answer of the reference in the form of the harness. */
function asLine({ stage, violations, data, errors, calls }) {
  if (stage) return JSON.stringify({ request: [{ code: CODES[stage][0] }], violations });
  const log = calls.map(({ field, key, arguments: args }) => ({ field, key, arguments: args }));
  return `{"data":${data},"errors":${JSON.stringify(errors)},"calls":${JSON.stringify(log)}}`;
}

/** Returns the difference between an answer and the same answer after a change of its line. */
async function differenceAfter(request, change) {
  const answer = await answerTo(request);
  return compare(answer, change(asLine(answer)));
}

test('the reference does not differ from itself', async () => {
  for (let number = 0; number < 400; number += 1) {
    const request = generator.request(3, number);
    assert.equal(await differenceAfter(request, (line) => line), undefined, request.query);
  }
});

test('a request follows from its seed and number', () => {
  for (const number of [0, 11, 17, 19]) assert.deepEqual(generator.request(5, number), generator.request(5, number));
  assert.notDeepEqual(generator.request(5, 0), generator.request(6, 0));
});

test('a fault breaks its rule', async () => {
  const counts = new Map(Object.keys(FAULTS).map((rule) => [rule, { made: 0, broken: 0 }]));
  for (let number = 0; number < 1_200; number += 1) {
    const request = generator.request(1, number);
    if (request.stratum !== 'fault') continue;
    const count = counts.get(request.rule);
    count.made += 1;
    count.broken += Number((await answerTo(request)).rules?.includes(request.rule) ?? false);
  }
  for (const [rule, { made, broken }] of counts) assert.ok(made >= 10 && broken >= made - 1, `${rule}: ${broken} of ${made}`);
});

test('a wrong part of an answer is a difference of its kind', async () => {
  const query = 'query ($n: Int) { d: dealsForBuyer(first: $n) { nodes { name version } } viewer { id } }';
  const request = { query, variables: { n: 2 }, behaviour: { viewer: 'fail' } };
  const kindAfter = async (change) => (await differenceAfter(request, change))?.kind;

  assert.equal(await kindAfter((line) => line.replace('"version":1', '"version":1.0')), undefined, 'a notation of a number');
  assert.equal(await kindAfter((line) => line.replace('"version":1', '"version":9')), 'data');
  assert.equal(await kindAfter((line) => line.replace('"name":"plain","version":1', '"version":1,"name":"plain"')), 'data');
  assert.equal(await kindAfter((line) => line.replace('"version":1', '"version":1,"version":1')), 'data');
  assert.equal(await kindAfter((line) => line.replace('plain', 'pl\\u0061in')), 'data');
  assert.equal(await kindAfter((line) => line.replace('[["viewer"]]', '[]')), 'errors');
  assert.equal(await kindAfter((line) => line.replace('"first":2', '"first":3')), 'calls');
  assert.equal(await kindAfter((line) => line.replace('"orderBy":"LAST_CHANGED_FIRST",', '')), 'calls');
  assert.equal(await kindAfter(() => '{"request":[{"code":"BAD_USER_INPUT"}]}'), 'only the harness refuses');
});

test('a wrong refusal is a difference of its kind', async () => {
  const query = 'query ($filter: DealFilter!) { dealsForBuyer(filter: $filter) { position } }';
  const request = { query, variables: { filter: { statuses: ['SOLD', 'LOST'], extra: 1, currency: 5 } } };
  const { violations } = await answerTo(request);

  assert.deepEqual(violations, ['filter.currency', 'filter.extra', 'filter.statuses.1']);
  assert.equal((await differenceAfter(request, (line) => line.replace('statuses.1', 'statuses')))?.kind, 'violations');
  assert.equal((await differenceAfter(request, (line) => line.replace('BAD_USER_INPUT', 'INTERNAL')))?.kind, 'code at variables');
  assert.equal((await differenceAfter({ query: '{' }, (line) => line.replace('PARSE', 'VALIDATION')))?.kind, 'code at parse');
});

test('the order of mutations counts and that of queries does not', async () => {
  const swapped = (line) => line.replace(/"calls":\[(.*?\}),(\{"field".*)\]\}$/, '"calls":[$2,$1]}');
  const query = '{ a: deal(id: 1) { id } b: deal(id: 2) { id } }';
  const mutation = 'mutation { a: deleteWebhook(id: 1) { id } b: deleteWebhook(id: 2) { id } }';

  assert.equal(await differenceAfter({ query }, swapped), undefined);
  assert.equal((await differenceAfter({ query: mutation }, swapped))?.kind, 'calls');
});

test('introspections have no order of their lists', () => {
  const keys = new Set(['"__schema"']);
  const [first, second] = ['[{"name":"A"},{"name":"B"}]', '[{"name":"B"},{"name":"A"}]'].map((list) => `{"__schema":{"types":${list}}}`);
  assert.equal(normalData(first, keys), normalData(second, keys));
  assert.notEqual(normalData(first), normalData(second));
});

test('a difference is shrunk to what causes it', async () => {
  const change = (line) => line.replace('"percentage":', '"percent":');
  const differs = async (candidate) => (await differenceAfter(candidate, change))?.kind === 'data';
  const numbers = Array.from({ length: 400 }, (_, number) => number);
  const found = [];
  for (const number of numbers) {
    const request = generator.request(5, number);
    if (found.length < 3 && await differs(request)) found.push(await shrink(request, differs));
  }

  assert.equal(found.length, 3);
  for (const { query, variables = {}, behaviour } of found) {
    assert.ok(query.replaceAll(/\s+/g, ' ').length < 100, query);
    assert.deepEqual([variables, behaviour], [{}, {}]);
  }
});

test('times are those of RFC 3339', () => {
  const type = schema.getType('DateTime');
  const accepts = (text) => {
    try {
      return type.coerceInputValue(text) === text;
    } catch {
      return false;
    }
  };
  const right = [
    '2024-02-29T00:00:00Z', '2016-12-31T23:59:60Z', '2017-01-01T05:29:60+05:30', '2023-02-28T23:59:60z',
    '2026-01-01 00:00:00.1-23:59',
  ];
  const wrong = [
    '2023-02-29T00:00:00Z', '2026-01-15T23:59:60Z', '2026-01-01T24:00:00Z', '2026-01-01T00:00:00', '2026-01-01T00:00:00.Z',
    '2026-01-01T00:00:00+24:00',
  ];

  assert.deepEqual(right.filter((text) => !accepts(text)), []);
  assert.deepEqual(wrong.filter(accepts), []);
});

test('every named request has a name of its own and an answer', async () => {
  const requests = named(world);
  assert.equal(new Set(requests.map(({ name }) => name)).size, requests.length);
  for (const request of requests) assert.equal(await differenceAfter(request, (line) => line), undefined, request.name);
});
