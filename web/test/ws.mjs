// Runs the stock graphql-ws client against the real gateway: every kind of operation over one socket, and a subscription
// that resumes by its variables after the gateway was killed or shut down.
// node test/ws.mjs ../target/debug/dealwire

import assert from 'node:assert/strict';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { CHANGES, creation, limitTime, list, SELLER, startGateway } from './gateway.mjs';

limitTime();
const gateway = await startGateway(process.argv[2]);
const begin = await gateway.create('begin');
await gateway.create('missed');

// The client reconnects when this promise resolves, so that changes can be made while it is away.
let reconnect;
const sockets = [];
const closeCodes = list();
const client = createClient({
  url: gateway.socketUrl,
  webSocketImpl: WebSocket,
  connectionParams: { 'x-api-key': SELLER },
  // By default only close events are retried, and a refused connection is none.
  shouldRetry: () => true,
  retryAttempts: Infinity,
  retryWait: () => reconnect,
  on: { connected: (socket) => sockets.push(socket), closed: ({ code }) => closeCodes.push(code) },
});

/** Executes a query or mutation. Returns its result, or the errors of a document that was rejected. */
const execute = (request) => new Promise((resolve) => {
  let result;
  client.subscribe(request, {
    next: (value) => (result = value),
    error: (errors) => resolve({ errors }),
    complete: () => resolve(result),
  });
});

let finished = false;
const names = list();
const payload = { query: CHANGES, variables: { after: begin } };
const expected = ['missed'];
client.subscribe(payload, {
  next({ data, errors }) {
    assert.equal(errors, undefined);
    // The client sends this very payload again when it reconnects. The position is stored here, at the moment the
    // change is delivered, so that no change can fall between what was received and what is requested next.
    payload.variables.after = data.dealChanged.position;
    names.push(data.dealChanged.deal.name);
  },
  error: (error) => assert.fail(JSON.stringify(error)),
  complete: () => assert.ok(finished, 'the subscription must not end before the test'),
});

/** Checks that the socket serves queries, mutations and rejected documents beside the subscription. */
async function checkEveryKind(name) {
  assert.deepEqual(await execute({ query: '{ viewer { role } }' }), { data: { viewer: { role: 'SELLER' } } });

  const created = await execute(creation(name));
  assert.equal(typeof created.data.createDeal.position, 'string', JSON.stringify(created));
  expected.push(name);

  const { errors } = await execute({ query: '{ nothing }' });
  assert.deepEqual(errors.map(({ extensions }) => extensions.code), ['GRAPHQL_VALIDATION_FAILED']);

  assert.deepEqual(await names.of(expected.length), expected);
}

await checkEveryKind('by the first socket');
assert.equal(sockets.length, 1, 'all operations share one socket');
console.log('ok    graphql-ws: a query, a mutation, a rejected document and a subscription over one socket');

for (const [signal, code] of [['SIGKILL', 1006], ['SIGTERM', 1012]]) {
  let allowReconnect;
  reconnect = new Promise((resolve) => (allowReconnect = resolve));
  const closed = closeCodes.items.length;
  await gateway.end(signal);
  assert.equal((await closeCodes.of(closed + 1))[closed], code);

  await gateway.start();
  for (const number of [1, 2, 3]) {
    expected.push(`${signal} ${number}`);
    await gateway.create(`${signal} ${number}`);
  }

  const socketsBefore = sockets.length;
  allowReconnect();
  assert.deepEqual(await names.of(expected.length), expected);
  await checkEveryKind(`after ${signal}`);
  assert.equal(sockets.length, socketsBefore + 1, 'the client reconnects once');
  console.log(`ok    graphql-ws resumes by variables after ${signal}: each change once, in order`);
}

finished = true;
await client.dispose();
await gateway.stop();
