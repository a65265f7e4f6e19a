// GraphQL over HTTP: all audits of the npm package graphql-http, and stock clients that send documents by their hash or
// their id (Apollo Client, urql, Relay's network).
// node test/http.mjs ../target/debug/dealwire

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { Client, fetchExchange } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import { parse, print } from 'graphql';
import { auditServer } from 'graphql-http';
import { createClient } from 'graphql-ws';
import relay from 'relay-runtime';
import WebSocket from 'ws';
import { BUYER, limitTime, startGateway } from './gateway.mjs';

limitTime();
const binary = process.argv[2];
const headers = { 'x-api-key': BUYER };
const ROLE = 'query Role { viewer { role } }';
const expected = { viewer: { role: 'BUYER' } };

const digest = (algorithm, text) => createHash(algorithm).update(text).digest('hex');
const sha256 = (text) => digest('sha256', text);

/** Wraps fetch; keeps the method and body of every request, and the content type of every response. */
function recorder() {
  const sent = [];
  async function record(url, options = {}) {
    const response = await fetch(url, options);
    const body = options.body ? JSON.parse(options.body) : Object.fromEntries(new URL(url).searchParams);
    sent.push({ method: options.method ?? 'GET', body, type: response.headers.get('content-type') });
    return response;
  }
  return { sent, fetch: record };
}

async function auditAll() {
  const gateway = await startGateway(binary);
  const results = await auditServer({ url: gateway.url });
  const failed = results.filter(({ status }) => status !== 'ok');
  for (const { id, name, status, reason } of failed) console.error(`${status}  ${id} ${name}: ${reason}`);
  assert.equal(failed.length, 0, `${failed.length} of ${results.length} audits failed`);

  const levels = ['MUST', 'SHOULD', 'MAY'].map((level) => (
    `${results.filter(({ name }) => name.startsWith(level)).length} ${level}`
  ));
  // A package that runs none would pass as well.
  assert.ok(results.length > 50, `there were ${results.length} audits`);
  console.log(`ok    graphql-http: all audits pass (${levels.join(', ')})`);
  return gateway;
}

function apollo(url, options) {
  const recorded = recorder();
  const link = new PersistedQueryLink(options).concat(new HttpLink({ uri: url, headers, fetch: recorded.fetch }));
  return { client: new ApolloClient({ cache: new InMemoryCache(), link }), sent: recorded.sent };
}

const ask = ({ client }, text) => client.query({ query: gql(text), fetchPolicy: 'no-cache' });

function urql(url) {
  const recorded = recorder();
  const exchanges = [persistedExchange({ preferGetForPersistedQueries: false }), fetchExchange];
  const client = new Client({ url, exchanges, fetch: recorded.fetch, fetchOptions: { headers }, preferGetMethod: false });
  return { client, sent: recorded.sent };
}

/** Which requests carried the text of the document. */
const texts = (sent) => sent.map(({ body }) => body.query !== undefined);

async function automatic({ url }) {
  for (const useGETForHashedQueries of [false, true]) {
    const name = useGETForHashedQueries ? 'ByGet' : 'ByPost';
    const text = ROLE.replace('Role', name);
    const first = apollo(url, { sha256, useGETForHashedQueries });
    assert.deepEqual((await ask(first, text)).data.viewer.role, 'BUYER');
    assert.deepEqual(texts(first.sent), [false, true], 'the hash is unknown, and the text follows');

    const second = apollo(url, { sha256, useGETForHashedQueries });
    assert.deepEqual((await ask(second, text)).data.viewer.role, 'BUYER');
    assert.deepEqual(texts(second.sent), [false], 'the hash is enough');
    assert.equal(second.sent[0].method, useGETForHashedQueries ? 'GET' : 'POST');
  }

  for (const expectedTexts of [[false, true], [false]]) {
    const { client, sent } = urql(url);
    const result = await client.query('query Urql { viewer { role } }', {}).toPromise();
    assert.equal(result.error, undefined);
    assert.equal(result.data.viewer.role, 'BUYER');
    assert.deepEqual(texts(sent), expectedTexts);
    // It names text/event-stream in every request.
    assert.match(sent.at(-1).type, /^application\/graphql-response\+json/);
  }
  console.log('ok    Apollo Client and urql send the text of a document once, and its hash from then on');
}

async function switchedOff() {
  const gateway = await startGateway(binary, ['--apq-bytes', '0']);
  const { client, sent } = urql(gateway.url);
  for (const name of ['One', 'Two']) {
    const result = await client.query(`query ${name} { viewer { role } }`, {}).toPromise();
    assert.equal(result.data?.viewer.role, 'BUYER', result.error);
  }
  assert.deepEqual(texts(sent), [false, true, true], 'urql gives up hashes');

  const other = apollo(gateway.url, { sha256 });
  for (const name of ['One', 'Two']) await ask(other, `query ${name} { viewer { role } }`);
  assert.deepEqual(texts(other.sent), [false, true, true], 'Apollo Client gives up hashes');
  await gateway.stop();
  console.log('ok    Apollo Client and urql send texts where the gateway stores none');
}

/** Writes the manifests of three tools, for a document each, in the formats that they have by default. */
function manifests(folder, documents) {
  const operations = [{ id: sha256(documents.apollo), name: 'ByApollo', type: 'query', body: documents.apollo }];
  const contents = {
    'persisted-query-manifest.json': { format: 'apollo-persisted-query-manifest', version: 1, operations },
    'queryMap.json': { [digest('md5', documents.relay)]: documents.relay },
    'persisted-documents.json': { [`sha256:${sha256(documents.codegen)}`]: documents.codegen },
  };
  return Object.entries(contents).flatMap(([name, content]) => {
    const file = join(folder, name);
    writeFileSync(file, JSON.stringify(content));
    return ['--trusted-documents', file];
  });
}

/** Executes a document by its id, as the network layer of Relay's documentation does. */
async function byRelay(url, id) {
  const network = relay.Network.create(async (operation, variables) => {
    assert.equal(operation.text, null);
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ doc_id: operation.id, variables }),
    });
    return response.json();
  });
  const request = { operationKind: 'query', name: 'ByRelay', text: null, id, metadata: {} };
  return network.execute(request, {}, {}).toPromise();
}

/** Executes a document by its id on a websocket, as the recipes of graphql-ws do. */
async function bySocket(client, payload) {
  for await (const result of client.iterate(payload)) return result;
  return undefined;
}

async function trusted() {
  const named = (name) => parse(ROLE.replace('Role', name));
  // Apollo Client adds __typename to what it sends, and its manifests hold what it sends.
  const byApollo = new InMemoryCache().transformDocument(named('ByApollo'));
  const documents = {
    apollo: print(byApollo),
    relay: print(named('ByRelay')),
    codegen: print(named('ByCodegen')),
  };
  const folder = mkdtempSync(join(tmpdir(), 'dealwire-manifests-'));
  const settings = [...manifests(folder, documents), '--trusted-documents-only'];
  const gateway = await startGateway(binary, settings);

  const known = apollo(gateway.url, { generateHash: (document) => sha256(print(document)) });
  assert.deepEqual((await ask(known, documents.apollo)).data.viewer.role, 'BUYER');
  assert.deepEqual(texts(known.sent), [false]);
  await assert.rejects(ask(known, '{ __typename }'), ({ errors }) => (
    errors[0].extensions.code === 'PERSISTED_QUERY_REQUIRED'
  ));
  assert.deepEqual((await byRelay(gateway.url, digest('md5', documents.relay))).data, expected);

  const socket = createClient({ url: gateway.socketUrl, connectionParams: headers, webSocketImpl: WebSocket });
  const documentId = `sha256:${sha256(documents.codegen)}`;
  assert.deepEqual(await bySocket(socket, { query: '', documentId }), { data: expected });
  const extensions = { persistedQuery: sha256(documents.codegen) };
  assert.deepEqual(await bySocket(socket, { query: '', extensions }), { data: expected });
  await assert.rejects(bySocket(socket, { query: '{ __typename }' }), ([{ extensions: { code } }]) => (
    code === 'PERSISTED_QUERY_REQUIRED'
  ));

  await socket.dispose();
  await gateway.stop();
  rmSync(folder, { recursive: true });
  console.log('ok    Apollo Client, Relay and graphql-ws execute trusted documents by their ids, and nothing else');
}

const gateway = await auditAll();
await automatic(gateway);
await gateway.stop();
await switchedOff();
await trusted();
process.exit(0);
