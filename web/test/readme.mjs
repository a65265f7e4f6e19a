// Runs the Node example of the README as it stands against a running dealwire with the demo market.
// node test/readme.mjs http://127.0.0.1:8080

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const origin = new URL(process.argv[2] ?? 'http://127.0.0.1:8080').origin;
const DEAL = '56c5e92a-683b-430e-8466-5721c7cacb90';
const PATIENCE = AbortSignal.timeout(30_000);

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const example = readme.match(/```js\n(.*?)```/s)[1];
assert.ok(example.trimEnd().split('\n').length <= 18, 'the example is short');
const folder = new URL('../node_modules/.cache/', import.meta.url);
mkdirSync(folder, { recursive: true });
const file = new URL('readme.mjs', folder);
writeFileSync(file, example.replaceAll('ws://127.0.0.1:8080', origin.replace('http', 'ws')));

async function rename(name) {
  const query = 'mutation($input: UpdateDealInput!) { updateDeal(input: $input) { deal { version } } }';
  const response = await fetch(`${origin}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'some-secret-api-key' },
    body: JSON.stringify({ query, variables: { input: { id: DEAL, name } } }),
    signal: PATIENCE,
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined);
  return `UPDATED { name: '${name}', version: ${data.updateDeal.deal.version} }`;
}

const client = spawn(process.execPath, [fileURLToPath(file)], { stdio: ['ignore', 'pipe', 'inherit'], signal: PATIENCE });
const printed = createInterface({ input: client.stdout })[Symbol.asyncIterator]();
// "From now on" begins at some time after the start, so rename the deal until the first change arrives.
const first = printed.next();
let open = false;
first.then(() => (open = true));
const renames = [];
while (!open) {
  renames.push(await rename(`rename ${renames.length}`));
}
let line = (await first).value;
const last = await rename('the last rename');
const before = renames.indexOf(line);
assert.notEqual(before, -1, line);
for (const expected of [...renames.slice(before + 1), last]) {
  line = (await printed.next()).value;
  assert.equal(line, expected);
}
client.kill();
console.log(`ok    the example of the README prints every change, in order (${renames.length} renames)`);
process.exit(0);
