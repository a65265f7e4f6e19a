// Starts the real binary with the demo market, in a data directory of its own and on a port that it keeps across
// restarts. Also contains what the tests of several clients share.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const SELLER = 'some-secret-api-key';
export const BUYER = '90d57fe0-0fa1-4dae-a51c-917cc82bcddc';

/** Subscription to every change, after a position if one is given. */
export const CHANGES = 'subscription($after: Position) { dealChanged(after: $after) { position deal { name } } }';

/** Longest time that a whole test may take, in milliseconds. */
const TIME_LIMIT = 60_000;

/** Starts a gateway, with further settings if they are given. */
export async function startGateway(binary, more = []) {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'dealwire-clients-'));
  const address = `127.0.0.1:${port}`;
  let process;

  async function start() {
    const settings = ['--listen', address, '--data-dir', folder, '--drain-seconds', '1', '--log', 'warn', ...more];
    process = spawn(binary, ['serve', ...settings], { stdio: ['ignore', 'ignore', 'inherit'] });
    while (!(await isReady(address))) assert.equal(process.exitCode, null, 'the gateway ended before it was ready');
  }

  async function end(signal) {
    process.kill(signal);
    await once(process, 'exit');
  }

  await start();
  // A test that fails leaves no server behind.
  globalThis.process.once('exit', () => process.kill('SIGKILL'));
  return {
    url: `http://${address}/graphql`,
    socketUrl: `ws://${address}/graphql`,
    start,
    end,
    /** Deletes the market of a gateway that has ended, so that the next start begins another one. */
    forget() {
      rmSync(folder, { recursive: true });
    },
    /** Creates a deal with the given name over HTTP and returns the position of the change. */
    async create(name) {
      return (await execute(`http://${address}`, SELLER, creation(name))).createDeal.position;
    },
    async stop() {
      await end('SIGTERM');
      rmSync(folder, { recursive: true });
    },
  };
}

/** Executes a GraphQL request over HTTP and returns its data; errors fail the test. */
export async function execute(origin, key, request) {
  const response = await fetch(`${origin}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': key },
    body: JSON.stringify(request),
  });

  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

/** Returns the request that creates a deal with the given name. */
export function creation(name) {
  const query = 'mutation($input: CreateDealInput!) { createDeal(input: $input) { position } }';
  const input = { name, totalPrice: 100, currency: 'GBP', items: [{ name: 'item', price: 100 }] };
  return { query, variables: { input } };
}

/** Creates a list whose length can be awaited. */
export function list() {
  const items = [];
  let wake = () => {};

  return {
    items,
    push(item) {
      items.push(item);
      wake();
    },
    /** Waits until the list has at least `count` items, and returns all of them. */
    async of(count) {
      while (items.length < count) await new Promise((resolve) => (wake = resolve));
      return items;
    },
  };
}

/** Fails the whole test after a minute: a change that never arrives would otherwise make it wait forever. */
export function limitTime() {
  setTimeout(() => {
    console.error(`FAIL  the test did not finish within ${TIME_LIMIT / 1000} s`);
    globalThis.process.exit(1);
  }, TIME_LIMIT).unref();
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();

  server.close();
  await once(server, 'close');
  return port;
}

async function isReady(address) {
  try {
    return (await fetch(`http://${address}/health/ready`)).ok;
  } catch {
    return false;
  }
}
