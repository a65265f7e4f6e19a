// The stock graphql-sse client against a running dealwire with the demo market: what was missed comes first, then what
// happens, and a second subscription goes on after the position that the first one came to.
// node test/sse.mjs http://127.0.0.1:8080

import assert from 'node:assert/strict';
import { createClient } from 'graphql-sse';

const url = `${new URL(process.argv[2] ?? 'http://127.0.0.1:8080').origin}/graphql`;
const BUYER = '90d57fe0-0fa1-4dae-a51c-917cc82bcddc';
const PATIENCE = AbortSignal.timeout(30_000);
PATIENCE.addEventListener('abort', () => {
  console.error('FAIL  nothing came in time');
  process.exit(1);
});

async function create(name) {
  const query = 'mutation($input: CreateDealInput!) { createDeal(input: $input) { position } }';
  const input = { name, totalPrice: 100, currency: 'GBP', items: [{ name: 'item', price: 100 }] };
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'some-secret-api-key' },
    body: JSON.stringify({ query, variables: { input } }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined);
  return data.createDeal.position;
}

const begin = await create('begin');
await create('missed 1');
await create('missed 2');

const client = createClient({ url, headers: { 'x-api-key': BUYER } });
const query = 'subscription($after: Position) { dealChanged(after: $after) { position deal { name } } }';

/** Reads changes after a position until the one of this name, and what is to happen at a name. */
async function read(after, last, at = {}) {
  const seen = [];
  let position;
  for await (const { data, errors } of client.iterate({ query, variables: { after } })) {
    assert.equal(errors, undefined);
    position = data.dealChanged.position;
    const { name } = data.dealChanged.deal;
    seen.push(name);
    await at[name]?.();
    if (name === last) return { seen, position };
  }
  throw new Error('the stream has ended');
}

const first = await read(begin, 'live', { 'missed 2': () => create('live') });
assert.deepEqual(first.seen, ['missed 1', 'missed 2', 'live']);
await create('missed 3');
const second = await read(first.position, 'missed 3');
assert.deepEqual(second.seen, ['missed 3']);
console.log('ok    graphql-sse is given what it missed, then what happens, each once');
process.exit(0);
