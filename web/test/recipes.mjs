// Runs the recipes of docs/subscriptions.md as they stand, all at once, against the real binary: each must show every
// change once and in order, through a kill of the gateway, and query again when its position belongs to no market.
// node test/recipes.mjs ../target/debug/dealwire

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { BUYER, SELLER, creation, execute, limitTime, list, startGateway } from './gateway.mjs';

limitTime();
const gateway = await startGateway(process.argv[2]);
const origin = new URL(gateway.url).origin;
const folder = fileURLToPath(new URL('../node_modules/.cache/recipes/', import.meta.url));
const RUNNERS = { js: process.execPath, sh: 'bash' };

/** Saves every marked block of the page; the recipes among them. */
function extract() {
  const page = readFileSync(new URL('../../docs/subscriptions.md', import.meta.url), 'utf8');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const recipes = [];
  for (const [, language, kind, name, code] of page.matchAll(/^```(js|sh) (file|run)=(\S+)\n(.*?)^```$/gms)) {
    const file = folder + (kind === 'file' ? name : `${name}.${language === 'js' ? 'mjs' : 'sh'}`);
    writeFileSync(file, code.replaceAll('127.0.0.1:8080', new URL(origin).host));
    if (kind === 'run') recipes.push({ name, command: [RUNNERS[language], [file]] });
  }
  return recipes;
}

/** What a line says of a page or a change; null if it says nothing of either. Only curl prints plain JSON. */
function read(line) {
  if (line.startsWith('{')) {
    const { dealsForBuyer: page, dealChanged: change } = JSON.parse(line).data;
    return page ? 'page' : `${change.type} ${change.deal.name}, version ${change.deal.version}`;
  }
  return line.startsWith('page of ') ? 'page' : line;
}

/** Starts a recipe; everything that it prints goes to `all`. */
function run({ name, command: [program, args] }) {
  // A group of its own, so that what a shell has started ends with it.
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const all = list();
  createInterface({ input: child.stdout }).on('line', (line) => all.push(read(line)));
  child.once('exit', (code) => assert.fail(`recipe ${name} has ended with ${code}`));
  process.once('exit', () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      assert.equal(error.code, 'ESRCH'); // it has ended
    }
  });
  return { name, all };
}

const sell = (query, variables) => execute(origin, SELLER, { query, variables });

async function create(name) {
  const query = creation(name).query.replace('{ position }', '{ position deal { id } }');
  const { createDeal } = await sell(query, creation(name).variables);
  return { id: createDeal.deal.id, position: createDeal.position };
}

async function update(input) {
  await sell('mutation($input: UpdateDealInput!) { updateDeal(input: $input) { position } }', { input });
}

/** Waits until the recipe has shown all of `expected`, and holds the order and the number of what it has shown. */
async function shows({ name, all }, expected) {
  const shown = await all.of(expected.length);
  // The demo market's own deals can come as changes when it was just filled, and the size of a list then varies.
  const mine = () => all.items.map((line) => line.replace(/: \d+ deals$/, ''))
    .filter((line) => line === 'page' || line.includes('recipe'));
  let count = shown.length;
  while (mine().length < expected.length) await all.of(++count);
  assert.deepEqual(mine(), expected, name);
}

const recipes = extract();
assert.deepEqual(recipes.map(({ name }) => name), ['graphql-ws', 'apollo', 'urql', 'relay', 'graphql-sse', 'curl']);
const { mustQueryAgain } = await import(pathToFileURL(`${folder}deals.mjs`));
assert.equal(await mustQueryAgain([{ extensions: { code: 'POSITION_EXPIRED', retryable: false } }]), true);
assert.equal(await mustQueryAgain([{ extensions: { code: 'UNAVAILABLE', retryable: true } }]), false);
await assert.rejects(mustQueryAgain([{ extensions: { code: 'FORBIDDEN', retryable: false } }]));

// The pages are to show the same deals to all: wait for the demo market to be in the tables.
const { position } = await create('before');
const caughtUp = 'query($position: Position) { dealsForBuyer(first: 1, minPosition: $position) { position } }';
await execute(origin, BUYER, { query: caughtUp, variables: { position } });

const clients = recipes.map(run);
// What a recipe has shown so far tells best why a run has failed.
process.once('exit', (code) => {
  if (code !== 0) for (const { name, all } of clients) console.error(name, all.items.slice(-8));
});
const expected = ['page'];
const allShow = () => Promise.all(clients.map((client) => shows(client, expected)));
await allShow();
// A page is shown before its subscription begins: nothing may be missed in between.
const first = await create('recipe 1');
await update({ id: first.id, name: 'recipe 1, renamed' });
await update({ id: first.id, status: 'SOLD' });
await update({ id: first.id, name: 'recipe 1, sold' });
expected.push('CREATED recipe 1, version 1', 'UPDATED recipe 1, renamed, version 2', 'LEFT recipe 1, renamed, version 3');
await allShow();
for (const { name, all } of clients) {
  const sizes = all.items.map((line) => line.match(/: (\d+) deals$/)?.[1]).filter(Boolean).map(Number);
  if (sizes.length > 0) assert.deepEqual(sizes.map((size) => size - sizes[0]), [0, 0, -1], name);
}
console.log('ok    recipes: a page, then every change after it; a deal that leaves is removed');

await gateway.end('SIGKILL');
await gateway.start();
for (const number of [2, 3, 4]) {
  await create(`recipe ${number}`);
  expected.push(`CREATED recipe ${number}, version 1`);
}
await allShow();
console.log('ok    recipes: each change once, in order, after the gateway was killed');

await gateway.end('SIGKILL');
gateway.forget();
await gateway.start();
expected.push('page');
await allShow();
await create('recipe 5');
expected.push('CREATED recipe 5, version 1');
await allShow();
console.log(`ok    recipes: ${clients.map(({ name }) => name).join(', ')} query again when their position is of no use`);

await gateway.stop();
process.exit(0);
