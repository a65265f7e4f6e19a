// The stock graphql-ws client against the real gateway: every kind of operation over one socket, and a subscription that
// goes on by its variables when the gateway was killed, or was told to end.
// node test/ws.mjs ../target/debug/dealwire

import assert from 'node:assert/strict';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { CHANGES, creation, limitTime, list, SELLER, startGateway } from './gateway.mjs';

limitTime();
const gateway = await startGateway(process.argv[2]);
const begin = await gateway.create('begin');
await gateway.create('missed');

let comeBack;
const sockets = [];
const closes = list();
const client = createClient({
  url: gateway.socketUrl,
  webSocketImpl: WebSocket,
  connectionParams: { 'x-api-key': SELLER },
  // A refused connection is no close event, and by default only those are tried again.
  shouldRetry: () => true,
  retryAttempts: Infinity,
  retryWait: () => comeBack,
  on: { connected: (socket) => sockets.push(socket), closed: ({ code }) => closes.push(code) },
});

/** The one result of a query or mutation, or the errors of a document that was refused. */
const ask = (request) => new Promise((resolve) => {
  let result;
  client.subscribe(request, {
    next: (value) => (result = value),
    error: (errors) => resolve({ errors }),
    complete: () => resolve(result),
  });
});

let over = false;
const names = list();
const payload = { query: CHANGES, variables: { after: begin } };
const expected = ['missed'];
client.subscribe(payload, {
  next({ data, errors }) {
    assert.equal(errors, undefined);
    // The client sends this payload again when it comes back. It is told here, where nothing lies between what the
    // client was given and what it says that it has.
    payload.variables.after = data.dealChanged.position;
    names.push(data.dealChanged.deal.name);
  },
  error: (error) => assert.fail(JSON.stringify(error)),
  complete: () => assert.ok(over, 'the subscription has ended'),
});

/** What else a socket serves beside the subscription. */
async function everyKind(name) {
  assert.deepEqual(await ask({ query: '{ viewer { role } }' }), { data: { viewer: { role: 'SELLER' } } });
  const made = await ask(creation(name));
  assert.equal(typeof made.data.createDeal.position, 'string', JSON.stringify(made));
  expected.push(name);
  const { errors } = await ask({ query: '{ nothing }' });
  assert.deepEqual(errors.map(({ extensions }) => extensions.code), ['GRAPHQL_VALIDATION_FAILED']);
  assert.deepEqual(await names.of(expected.length), expected);
}

await everyKind('by the first socket');
assert.equal(sockets.length, 1, 'one socket serves all');
console.log('ok    graphql-ws: a query, a mutation, a refused document and a subscription over one socket');

for (const [signal, code] of [['SIGKILL', 1006], ['SIGTERM', 1012]]) {
  let open;
  comeBack = new Promise((resolve) => (open = resolve));
  const closed = closes.items.length;
  await gateway.end(signal);
  assert.equal((await closes.of(closed + 1))[closed], code);
  await gateway.start();
  for (const number of [1, 2, 3]) {
    expected.push(`${signal} ${number}`);
    await gateway.create(`${signal} ${number}`);
  }
  const before = sockets.length;
  open();
  assert.deepEqual(await names.of(expected.length), expected);
  await everyKind(`after ${signal}`);
  assert.equal(sockets.length, before + 1, 'it has come back once');
  console.log(`ok    graphql-ws resumes by variables after ${signal}: each change once, in order`);
}
over = true;
await client.dispose();
await gateway.stop();
