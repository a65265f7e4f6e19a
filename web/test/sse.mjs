// The stock graphql-sse client against the real gateway: what was missed comes first, then what happens; a subscription
// goes on when the gateway was killed, or was told to end, by its variables or by `Last-Event-ID`.
//
// The client makes the body and the headers of every attempt anew, so either can tell the position. It drops the ids
// of events, so the position is selected as a field. What it tries again is a connection that ends while it waits.
// node test/sse.mjs ../target/debug/dealwire

import assert from 'node:assert/strict';
import { createClient, NetworkError } from 'graphql-sse';
import { BUYER, CHANGES, creation, limitTime, list, startGateway } from './gateway.mjs';

limitTime();
const gateway = await startGateway(process.argv[2]);
let comeBack;
const tries = list();

function connect(headers = {}) {
  return createClient({
    url: gateway.url,
    headers: () => ({ 'x-api-key': BUYER, ...headers }),
    retryAttempts: Infinity,
    retry: () => {
      tries.push('again');
      return comeBack;
    },
  });
}

async function result(request) {
  for await (const value of connect().iterate(request)) return value;
  return undefined;
}

assert.deepEqual(await result({ query: '{ viewer { role } }' }), { data: { viewer: { role: 'BUYER' } } });
const code = async (request) => (await result(request)).errors[0].extensions.code;
assert.equal(await code(creation('not by a buyer')), 'FORBIDDEN');
assert.equal(await code({ query: '{ nothing }' }), 'GRAPHQL_VALIDATION_FAILED');
const stranger = createClient({ url: gateway.url, headers: { 'x-api-key': 'unknown' }, retryAttempts: 0 });
await assert.rejects(stranger.iterate({ query: CHANGES }).next(), (error) => (
  error instanceof NetworkError && error.response.status === 401
));
console.log('ok    graphql-sse: a query, refusals of every kind');

const ways = {
  variables: (begin) => {
    const request = { query: CHANGES, variables: { after: begin } };
    return { request, client: connect(), store: (position) => (request.variables.after = position) };
  },
  'Last-Event-ID': (begin) => {
    const headers = { 'last-event-id': begin };
    const store = (position) => (headers['last-event-id'] = position);
    // What the request says is where it began, which the header outdoes.
    return { request: { query: CHANGES, variables: { after: begin } }, client: connect(headers), store };
  },
};

for (const [way, prepare] of Object.entries(ways)) {
  const { request, client, store } = prepare(await gateway.create('begin'));
  const expected = ['missed'];
  await gateway.create('missed');
  let over = false;
  const names = list();
  client.subscribe(request, {
    next({ data, errors }) {
      assert.equal(errors, undefined);
      store(data.dealChanged.position);
      names.push(data.dealChanged.deal.name);
    },
    error: (error) => assert.fail(error),
    complete: () => assert.ok(over, 'the subscription has ended'),
  });
  for (const signal of ['SIGKILL', 'SIGTERM']) {
    expected.push(`before ${signal}`);
    await gateway.create(`before ${signal}`);
    assert.deepEqual(await names.of(expected.length), expected);
    let open;
    comeBack = new Promise((resolve) => (open = resolve));
    const tried = tries.items.length;
    await gateway.end(signal);
    await tries.of(tried + 1);
    await gateway.start();
    for (const number of [1, 2, 3]) {
      expected.push(`${signal} ${number}`);
      await gateway.create(`${signal} ${number}`);
    }
    open();
    assert.deepEqual(await names.of(expected.length), expected);
    console.log(`ok    graphql-sse resumes by ${way} after ${signal}: each change once, in order`);
  }
  over = true;
  client.dispose();
}
await gateway.stop();
