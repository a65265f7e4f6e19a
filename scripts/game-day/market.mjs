// A market in production mode, as its operator has it: a gateway, a process with the other roles, and a shell.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { Nats, Process, freePort, postgresPrograms } from './servers.mjs';
import { answered, seen, typed } from './tell.mjs';
import { until } from './wait.mjs';

/** One process of `dealwire serve`, on a port that it keeps. */
class Role {
  constructor(market, name, roles, port) {
    Object.assign(this, { market, name, roles, port });
    this.process = new Process(join(market.folder, `${name}.log`));
  }

  get origin() {
    return `http://127.0.0.1:${this.port}`;
  }

  start(binary = this.market.binary) {
    const args = ['serve', '--roles', this.roles, '--listen', `127.0.0.1:${this.port}`, '--drain-seconds', '1'];
    this.process.start(binary, args, this.market.environment);
    this.beganAt = this.process.text().length;
  }

  async stop() {
    await this.process.end('SIGTERM');
  }

  /** Status and body of the readiness, or undefined if the process does not answer. */
  async readiness() {
    assert.ok(!this.process.hasEnded(), `the ${this.name} has ended`);
    try {
      const response = await fetch(`${this.origin}/health/ready`, { signal: AbortSignal.timeout(5_000) });
      return { status: response.status, body: await response.json() };
    } catch {
      return undefined;
    }
  }

  /** Shows the readiness as it is. */
  async shows() {
    const found = await until(`the ${this.name} answers`, () => this.readiness());
    seen(`GET /health/ready of the ${this.name}`, `${found.status} ${JSON.stringify(found.body)}`);
  }

  /** Waits until the readiness contains a text, and shows it. */
  async tells(text) {
    const found = await until(`the readiness of the ${this.name} tells of ${text}`, async () => {
      const readiness = await this.readiness();
      return JSON.stringify(readiness?.body)?.includes(text) && readiness;
    });
    seen(`GET /health/ready of the ${this.name}`, `${found.status} ${JSON.stringify(found.body)}`);
  }

  /** Waits until the process is ready and misses nothing, and shows it if that is wanted. */
  async recovers({ show = true } = {}) {
    const found = await until(`the ${this.name} is ready and misses nothing`, async () => {
      const readiness = await this.readiness();
      const { down = {}, degraded = {} } = readiness?.body ?? {};
      return readiness?.status === 200 && Object.keys({ ...down, ...degraded }).length === 0 && readiness;
    });
    if (show) seen(`GET /health/ready of the ${this.name}`, `${found.status} ${JSON.stringify(found.body)}`);
  }

  /** Waits until the log of the process has a line with a text since a mark, and shows the first. */
  async logs(text, since) {
    const line = await until(`the log of the ${this.name} tells of ${text}`, () => (
      this.process.text().slice(since).split('\n').find((line) => line.includes(text))
    ));
    seen(`log of the ${this.name}`, line);
  }

  /** End of the log now, for Role.logs. */
  mark() {
    return this.process.text().length;
  }

  /** Waits until a metric has a value that fits, and shows it. */
  async metric(name, fits) {
    const line = await until(`the metric ${name} of the ${this.name}`, async () => {
      const text = await (await fetch(`${this.origin}/metrics`)).text();
      return text.split('\n').find((line) => line.startsWith(`${name} `) && fits(Number(line.split(' ').at(-1))));
    });
    seen(`GET /metrics of the ${this.name}`, line);
  }
}

/** The shell of an operator, who works in the folder of the game day with the settings of the market. */
class Operator {
  constructor(market) {
    this.market = market;
  }

  /** Runs a command of dealwire and shows both; it must end with this code. Returns what it printed. */
  async types(args, { code = 0, shown = true } = {}) {
    return this.runs(this.market.binary, args, { name: 'dealwire', code, shown });
  }

  /** Runs any other program, with the addresses of the databases as $SELLER and $BUYER. */
  async runs(program, args, { name = program, code = 0, shown = true } = {}) {
    const { status, out, text } = await this.tries(program, args);
    if (shown) {
      typed(this.market.withoutAddresses([name, ...args].map(quoted).join(' ')));
      answered(text);
    }
    assert.equal(status, code, `${name} ${args.join(' ')} ended with ${status}:\n${text}`);
    return out;
  }

  /** Runs a program and shows nothing. Returns how it ended, and what it printed, with and without its errors. */
  async tries(program, args) {
    const { folder, environment } = this.market;
    const path = `${environment.PATH}:${postgresPrograms()}`;
    // Commands say what they do on their output; the log of their parts is not wanted here.
    const child = spawn(program, args, { cwd: folder, env: { ...environment, PATH: path, DEALWIRE_LOG: 'off' } });
    let [out, errors] = ['', ''];
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (errors += data));
    child.once('error', (error) => (errors += error.message));
    const [status] = await once(child, 'close');
    return { status, out, text: out + errors };
  }
}

export class Market {
  constructor(folder, binary, previous) {
    Object.assign(this, { folder, binary, previous });
    this.operator = new Operator(this);
  }

  /** Starts NATS, fills the market with the demo, and starts the processes. */
  async start() {
    this.nats = new Nats(this.folder, await freePort());
    // PostgreSQL and Redis are those of scripts/gameday, and its NATS is left alone: this one is made to be broken.
    this.environment = {
      ...process.env,
      DEALWIRE_NATS_URL: this.nats.url,
      DEALWIRE_LOG: 'warn',
      DEALWIRE_TRUSTED_PROXIES: '127.0.0.0/8',
    };
    this.gateway = new Role(this, 'gateway', 'gateway', await freePort());
    this.projectors = new Role(this, 'projectors', 'seller,buyer,webhooks', await freePort());

    await this.nats.start();
    await this.operator.types(['seed', '--demo'], { shown: false });
    this.startProcesses();
    await this.ready({ show: false });
  }

  get databases() {
    return [this.environment.DEALWIRE_SELLER_DATABASE_URL, this.environment.DEALWIRE_BUYER_DATABASE_URL];
  }

  /** Database of the server itself, from which others are created. */
  get postgres() {
    return this.databases[0].replace(/\/[^/]*$/, '/postgres');
  }

  startProcesses(binary = this.binary) {
    this.projectors.start(binary);
    this.gateway.start(binary);
  }

  async stopProcesses() {
    await this.gateway.stop();
    await this.projectors.stop();
  }

  async ready({ show = true } = {}) {
    await this.projectors.recovers({ show: false });
    await this.gateway.recovers({ show });
  }

  /** A command line as it would be in a runbook, where variables stand for addresses. */
  withoutAddresses(line) {
    const [seller, buyer] = this.databases;
    return line
      .replaceAll(seller, '$DEALWIRE_SELLER_DATABASE_URL')
      .replaceAll(buyer, '$DEALWIRE_BUYER_DATABASE_URL')
      .replaceAll(this.postgres, '$POSTGRES_URL');
  }

  /** Prints the ends of all logs, when something was not as said. */
  tellLogs() {
    for (const process of [this.gateway?.process, this.projectors?.process, this.nats?.process]) {
      if (process) console.error(`\n${process.log}:\n${process.text().split('\n').slice(-12).join('\n')}`);
    }
  }

  async end() {
    for (const role of [this.gateway, this.projectors]) await role?.process.end('SIGKILL');
    await this.nats?.end();
  }
}

function quoted(word) {
  if (/^[\w./:@$,=-]+$/.test(word)) return word;
  return word.includes("'") ? `"${word}"` : `'${word}'`;
}
