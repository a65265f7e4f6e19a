// Runs the webhook receivers of docs/webhooks.md, exactly as printed there, against a running dealwire that may call this
// machine: each verifies the calls of the gateway and rejects forged ones.
// node test/webhooks.mjs http://127.0.0.1:8080 ../target/debug/examples/webhook_receiver

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { BUYER, SELLER, creation, execute, freePort, limitTime } from './gateway.mjs';

const REGISTER = `mutation($url: String!) {
  registerWebhook(input: { url: $url, events: [DEAL_CREATED] }) { secret webhook { id } } }`;
const DELIVERIES = 'query($id: ID!) { webhookDeliveries(webhookId: $id) { nodes { id event } } }';
const DELETE = 'mutation($id: ID!) { deleteWebhook(id: $id) { id } }';

limitTime();
const origin = new URL(process.argv[2]).origin;
const graphql = (key, query, variables) => execute(origin, key, { query, variables });

const page = readFileSync(new URL('../../docs/webhooks.md', import.meta.url), 'utf8');

// The Rust receiver is built from the gateway's examples, so the page's copy is compared with that source.
const rustExample = page.match(/```rust\n(.*?)```/s)[1].trim();
const rustSource = readFileSync(new URL('../../gateway/examples/webhook_receiver.rs', import.meta.url), 'utf8');
assert.ok(rustSource.includes(rustExample), 'docs/webhooks.md contains the Rust example as it is built');

// The Node.js receiver is the page's own text, written to a file from which it finds the packages it imports.
const nodeExamples = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);
const nodeExample = nodeExamples.find((code) => code.includes('createServer'));
const folder = new URL('../node_modules/.cache/', import.meta.url);
mkdirSync(folder, { recursive: true });
const script = new URL('receiver.mjs', folder);
writeFileSync(script, nodeExample);

async function isListening(endpoint) {
  try {
    await fetch(endpoint);
    return true;
  } catch (error) {
    assert.equal(error.cause?.code, 'ECONNREFUSED', String(error));
    return false;
  }
}

for (const [language, command] of [
  ['Rust', (port) => [process.argv[3], [`127.0.0.1:${port}`]]],
  ['Node.js', (port) => [process.execPath, [fileURLToPath(script), String(port)]]],
]) {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}/`;
  const { secret, webhook } = (await graphql(BUYER, REGISTER, { url: endpoint })).registerWebhook;

  const [program, args] = command(port);
  const environment = { ...process.env, WEBHOOK_SECRET: secret };
  const receiver = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => receiver.kill());
  const printed = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]();
  while (!(await isListening(endpoint))) assert.equal(receiver.exitCode, null, `the ${language} receiver ended early`);

  const forged = {
    'webhook-id': 'x',
    'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
    'webhook-signature': 'v1,AAAA',
  };
  assert.equal((await fetch(endpoint, { method: 'POST', headers: forged, body: '{}' })).status, 401);

  // Characters beyond ASCII show that the signature covers the bytes of the body and not a re-encoding of it.
  const name = `called in ${language} – „ümlaut“`;
  await execute(origin, SELLER, creation(name));
  const line = (await printed.next()).value;
  const id = line.slice(0, line.indexOf(' '));
  const body = JSON.parse(line.slice(line.indexOf(' ') + 1));
  assert.deepEqual([body.type, body.data.deal.name], ['deal.created', name]);

  const { nodes } = (await graphql(BUYER, DELIVERIES, { id: webhook.id })).webhookDeliveries;
  assert.deepEqual(nodes, [{ id, event: 'DEAL_CREATED' }]);

  await graphql(BUYER, DELETE, { id: webhook.id });
  receiver.kill();
  if (receiver.exitCode === null && receiver.signalCode === null) await once(receiver, 'exit');
  console.log(`ok    the ${language} receiver of docs/webhooks.md verifies genuine calls and rejects forged ones`);
}
process.exit(0);
