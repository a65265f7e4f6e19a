// Runs the stock graphql-sse client against the real gateway: missed changes come first, then new ones; a subscription
// resumes, by its variables or by `Last-Event-ID`, after the gateway was killed or shut down.
//
// The client builds the body and the headers of every attempt anew, so either can carry the position. It does not expose
// the ids of events, so the position is selected as a field. It retries a connection that ends while it waits for events.
// node test/sse.mjs ../target/debug/dealwire

import assert from 'node:assert/strict';
import { createClient, NetworkError } from 'graphql-sse';
import { BUYER, CHANGES, creation, limitTime, list, startGateway } from './gateway.mjs';

limitTime();
const gateway = await startGateway(process.argv[2]);

// Clients reconnect when this promise resolves, so that changes can be made while they are away.
let reconnect;
const attempts = list();

function connect(headers = {}) {
  return createClient({
    url: gateway.url,
    headers: () => ({ 'x-api-key': BUYER, ...headers }),
    retryAttempts: Infinity,
    retry: () => {
      attempts.push('retry');
      return reconnect;
    },
  });
}

async function firstResult(request) {
  for await (const value of connect().iterate(request)) return value;
  return undefined;
}

assert.deepEqual(await firstResult({ query: '{ viewer { role } }' }), { data: { viewer: { role: 'BUYER' } } });

const errorCode = async (request) => (await firstResult(request)).errors[0].extensions.code;
assert.equal(await errorCode(creation('by a buyer')), 'FORBIDDEN');
assert.equal(await errorCode({ query: '{ nothing }' }), 'GRAPHQL_VALIDATION_FAILED');

const unauthenticated = createClient({ url: gateway.url, headers: { 'x-api-key': 'unknown' }, retryAttempts: 0 });
await assert.rejects(unauthenticated.iterate({ query: CHANGES }).next(), (error) => (
  error instanceof NetworkError && error.response.status === 401
));
console.log('ok    graphql-sse: a query, and errors of every kind');

// Ways to tell the server the position, each with what the client sends and how a position is stored for the next attempt.
const resumptions = {
  variables: (begin) => {
    const request = { query: CHANGES, variables: { after: begin } };
    return { request, client: connect(), store: (position) => (request.variables.after = position) };
  },
  'Last-Event-ID': (begin) => {
    const headers = { 'last-event-id': begin };
    const store = (position) => (headers['last-event-id'] = position);
    // The variable keeps the first position throughout: the header takes precedence.
    return { request: { query: CHANGES, variables: { after: begin } }, client: connect(headers), store };
  },
};

for (const [way, prepare] of Object.entries(resumptions)) {
  const { request, client, store } = prepare(await gateway.create('begin'));
  const expected = ['missed'];
  await gateway.create('missed');

  let finished = false;
  const names = list();
  client.subscribe(request, {
    next({ data, errors }) {
      assert.equal(errors, undefined);
      store(data.dealChanged.position);
      names.push(data.dealChanged.deal.name);
    },
    error: (error) => assert.fail(error),
    complete: () => assert.ok(finished, 'the subscription must not end before the test'),
  });

  for (const signal of ['SIGKILL', 'SIGTERM']) {
    expected.push(`before ${signal}`);
    await gateway.create(`before ${signal}`);
    assert.deepEqual(await names.of(expected.length), expected);

    let allowReconnect;
    reconnect = new Promise((resolve) => (allowReconnect = resolve));
    const attemptsBefore = attempts.items.length;
    await gateway.end(signal);
    await attempts.of(attemptsBefore + 1);

    await gateway.start();
    for (const number of [1, 2, 3]) {
      expected.push(`${signal} ${number}`);
      await gateway.create(`${signal} ${number}`);
    }

    allowReconnect();
    assert.deepEqual(await names.of(expected.length), expected);
    console.log(`ok    graphql-sse resumes by ${way} after ${signal}: each change once, in order`);
  }

  finished = true;
  client.dispose();
}
await gateway.stop();
