// The real binary with the demo market in a folder of its own, on a port that it keeps when it is started again.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const SELLER = 'some-secret-api-key';
export const BUYER = '90d57fe0-0fa1-4dae-a51c-917cc82bcddc';

/** What takes longer than this hangs. */
const PATIENCE = 60_000;

export async function startGateway(binary) {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'dealwire-clients-'));
  const address = `127.0.0.1:${port}`;
  let process;

  async function start() {
    const settings = ['--listen', address, '--data-dir', folder, '--drain-seconds', '1', '--log', 'warn'];
    process = spawn(binary, ['serve', ...settings], { stdio: ['ignore', 'ignore', 'inherit'] });
    while (!(await isReady(address))) assert.equal(process.exitCode, null, 'the gateway has ended');
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
    /** Deletes the market of a gateway that has ended: the next start begins another one. */
    forget() {
      rmSync(folder, { recursive: true });
    },
    /** Creates a deal of this name over HTTP; its position. */
    async create(name) {
      return (await execute(`http://${address}`, SELLER, creation(name))).createDeal.position;
    },
    async stop() {
      await end('SIGTERM');
      rmSync(folder, { recursive: true });
    },
  };
}

/** Executes a request over HTTP; its data. */
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

/** The mutation that creates a deal of this name. */
export function creation(name) {
  const query = 'mutation($input: CreateDealInput!) { createDeal(input: $input) { position } }';
  return { query, variables: { input: { name, totalPrice: 100, currency: 'GBP', items: [{ name: 'item', price: 100 }] } } };
}

export const CHANGES = 'subscription($after: Position) { dealChanged(after: $after) { position deal { name } } }';

/** A list that can be waited for. */
export function list() {
  const items = [];
  let wake = () => {};
  return {
    items,
    push(item) {
      items.push(item);
      wake();
    },
    async of(count) {
      while (items.length < count) await new Promise((resolve) => (wake = resolve));
      return items;
    },
  };
}

/** Ends the whole test, rather than hang. */
export function limitTime() {
  setTimeout(() => {
    console.error('FAIL  nothing came in time');
    globalThis.process.exit(1);
  }, PATIENCE).unref();
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
