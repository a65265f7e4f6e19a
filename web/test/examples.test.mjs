import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { buildSchema, getOperationAST, getVariableValues, parse, validate } from 'graphql';
import { examples, PLACEHOLDER } from '../src/examples.js';

const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'));
const demo = { demo: true, sellerKey: 'the seller', buyerKey: 'the buyer', dealId: '56c5e92a-683b-430e-8466-5721c7cacb90' };
const operation = ({ query }) => getOperationAST(parse(query));
const key = ({ headers }) => JSON.parse(headers)['x-api-key'];

test('tabs have their titles and keys', () => {
  const titles = examples(demo).map((example) => operation(example).name.value);
  assert.deepEqual(titles, ['Create', 'Update', 'Query', 'Subscribe', 'Resume']);
  const keys = [demo.sellerKey, demo.sellerKey, demo.buyerKey, demo.buyerKey, demo.buyerKey];
  assert.deepEqual(examples(demo).map(key), keys);
  assert.deepEqual(new Set(examples({}).map(key)), new Set([PLACEHOLDER]));
});

for (const [market, config] of Object.entries({ demo, other: { demo: false } })) {
  for (const example of examples(config)) {
    test(`${operation(example).name.value} is valid in the ${market} market`, () => {
      assert.deepEqual(validate(schema, parse(example.query)), []);
      const variables = JSON.parse(example.variables || '{}');
      const { errors } = getVariableValues(schema, operation(example).variableDefinitions ?? [], variables);
      assert.deepEqual(errors, undefined);
    });
  }
}

test('lines of the examples fit into the editor of a 1400 pixel window', () => {
  for (const { query } of examples(demo)) {
    for (const line of query.split('\n')) assert.ok(line.length <= 57, line);
  }
});
