// The receivers of docs/webhooks.md, as they stand there, against a running dealwire that may call this machine: each
// verifies what it is sent, and refuses what somebody else sends.
// node test/webhooks.mjs http://127.0.0.1:8080 ../target/debug/examples/webhook_receiver

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { BUYER, SELLER, creation, execute, freePort, limitTime } from './gateway.mjs';

limitTime();
const origin = new URL(process.argv[2]).origin;

const page = readFileSync(new URL('../../docs/webhooks.md', import.meta.url), 'utf8');
const ofRust = page.match(/```rust\n(.*?)```/s)[1].trim();
const ofNode = [...page.matchAll(/```js\n(.*?)```/gs)].map((found) => found[1]).find((code) => code.includes('createServer'));
const source = readFileSync(new URL('../../gateway/examples/webhook_receiver.rs', import.meta.url), 'utf8');
assert.ok(source.includes(ofRust), 'gateway/examples/webhook_receiver.rs is the receiver of docs/webhooks.md');
const folder = new URL('../node_modules/.cache/', import.meta.url);
mkdirSync(folder, { recursive: true });
const script = new URL('receiver.mjs', folder);
writeFileSync(script, ofNode);

const graphql = (key, query, variables) => execute(origin, key, { query, variables });

async function listens(endpoint) {
  try {
    await fetch(endpoint);
    return true;
  } catch (error) {
    assert.equal(error.cause?.code, 'ECONNREFUSED', String(error));
    return false;
  }
}

for (const [what, command] of [
  ['Rust', (port) => [process.argv[3], [`127.0.0.1:${port}`]]],
  ['Node.js', (port) => [process.execPath, [fileURLToPath(script), String(port)]]],
]) {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}/`;
  const [program, args] = command(port);
  const register = `mutation($url: String!) {
    registerWebhook(input: { url: $url, events: [DEAL_CREATED] }) { secret webhook { id } } }`;
  const { secret, webhook } = (await graphql(BUYER, register, { url: endpoint })).registerWebhook;
  const environment = { ...process.env, WEBHOOK_SECRET: secret };
  const receiver = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => receiver.kill());
  const printed = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]();
  while (!(await listens(endpoint))) assert.equal(receiver.exitCode, null, `the receiver in ${what} has ended`);

  const forged = { 'webhook-id': 'x', 'webhook-timestamp': String(Math.floor(Date.now() / 1000)), 'webhook-signature': 'v1,AAAA' };
  assert.equal((await fetch(endpoint, { method: 'POST', headers: forged, body: '{}' })).status, 401);

  const name = `called in ${what} – „ümlaut“`;
  await execute(origin, SELLER, creation(name));
  const line = (await printed.next()).value;
  const [id, body] = [line.slice(0, line.indexOf(' ')), JSON.parse(line.slice(line.indexOf(' ') + 1))];
  assert.deepEqual([body.type, body.data.deal.name], ['deal.created', name]);
  const query = `query($id: ID!) { webhookDeliveries(webhookId: $id) { nodes { id event } } }`;
  const { nodes } = (await graphql(BUYER, query, { id: webhook.id })).webhookDeliveries;
  assert.deepEqual(nodes, [{ id, event: 'DEAL_CREATED' }]);

  await graphql(BUYER, 'mutation($id: ID!) { deleteWebhook(id: $id) { id } }', { id: webhook.id });
  receiver.kill();
  if (receiver.exitCode === null && receiver.signalCode === null) await once(receiver, 'exit');
  console.log(`ok    the receiver in ${what} of docs/webhooks.md verifies what it is sent and refuses what is forged`);
}
process.exit(0);
