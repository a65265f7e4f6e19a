// Processes of the game day: NATS on a small disk of its own, which scenes kill, empty and fill, and whatever else is started.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, cpSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

import { until } from './wait.mjs';

/** Size of the disk with the log. */
const DISK = '48m';
/** Ports outside of the range from which the kernel takes those of outgoing connections. */
const PORTS = [24_000, 31_000];

/** Returns a port of 127.0.0.1 that nobody listens on. */
export async function freePort() {
  return until('a port is free', async () => {
    const port = PORTS[0] + Math.floor(Math.random() * (PORTS[1] - PORTS[0]));
    const server = createServer();
    const free = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    server.close();
    return free && port;
  });
}

/** A process whose output goes to a file. */
export class Process {
  constructor(log) {
    this.log = log;
  }

  start(program, args, environment) {
    const output = openSync(this.log, 'a');
    this.child = spawn(program, args, { env: environment, stdio: ['ignore', output, output] });
    closeSync(output);
  }

  /** Ends the process with a signal, and waits until it has gone. */
  async end(signal) {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;

    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  hasEnded() {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Everything that the process and those before it have written. */
  text() {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8') : '';
  }
}

/** A nats-server whose log is on a disk of its own. */
export class Nats {
  constructor(folder, port) {
    this.port = port;
    this.disk = join(folder, 'nats');
    this.store = join(this.disk, 'store');
    this.ballast = join(this.disk, 'ballast');
    this.process = new Process(join(folder, 'nats.log'));
    mkdirSync(this.disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', this.disk]);
  }

  get url() {
    return `nats://127.0.0.1:${this.port}`;
  }

  async start() {
    const args = ['-js', '-a', '127.0.0.1', '-p', String(this.port), '-sd', this.store];
    this.process.start(process.env.DEALWIRE_TEST_NATS_SERVER || 'nats-server', args, process.env);
    await until('NATS answers', () => this.greets());
  }

  async stop() {
    await this.process.end('SIGTERM');
  }

  async kill() {
    await this.process.end('SIGKILL');
  }

  /** Ends the server, and takes its disk away. */
  async end() {
    await this.kill();
    execFileSync('umount', [this.disk]);
  }

  /** Takes everything off the disk. The server must have ended. */
  empty() {
    rmSync(this.store, { recursive: true, force: true });
  }

  /** Copies the log as a snapshot of the disk would. The server must have ended. */
  copyTo(folder) {
    rmSync(folder, { recursive: true, force: true });
    cpSync(this.store, folder, { recursive: true });
  }

  /** Puts a copy in place of the log. The server must have ended. */
  putBack(folder) {
    this.empty();
    cpSync(folder, this.store, { recursive: true });
  }

  /** Takes all the room that the disk has left. */
  fill() {
    const file = openSync(this.ballast, 'w');
    for (const size of [65_536, 4_096, 512, 1]) {
      const block = Buffer.alloc(size, 1);
      while (hasRoomFor(file, block));
    }
    closeSync(file);
  }

  makeRoom() {
    rmSync(this.ballast);
  }

  /** Publishes a message as any client of the server may, and returns what the stream answers. */
  async publish(subject, headers, body) {
    const head = `NATS/1.0\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
    const [headSize, size] = [Buffer.byteLength(head), Buffer.byteLength(head) + Buffer.byteLength(body)];
    const socket = connect(this.port, '127.0.0.1');
    let heard = '';
    socket.on('data', (data) => (heard += data));
    socket.write('CONNECT {"verbose":false,"headers":true}\r\nSUB answer 1\r\n');
    socket.write(`HPUB ${subject} answer ${headSize} ${size}\r\n${head}${body}\r\n`);

    const answer = await until('the stream answers', () => /^MSG answer [^\r]*\r\n([^\r]*)\r\n/m.exec(heard)?.[1]);
    socket.destroy();
    return JSON.parse(answer);
  }

  async greets() {
    const socket = connect(this.port, '127.0.0.1');
    const greeting = await new Promise((resolve) => {
      socket.once('data', (data) => resolve(String(data)));
      socket.once('error', () => resolve(''));
    });
    socket.destroy();
    return greeting.startsWith('INFO ');
  }
}

function hasRoomFor(file, block) {
  try {
    return writeSync(file, block) > 0;
  } catch (error) {
    if (error.code === 'ENOSPC') return false;
    throw error;
  }
}

/** Folder of PostgreSQL's clients where they are not on the path. */
export function postgresPrograms() {
  const versions = '/usr/lib/postgresql';
  const all = existsSync(versions) ? readdirSync(versions) : [];
  const newest = all.map(Number).sort((a, b) => b - a)[0];
  return newest ? join(versions, String(newest), 'bin') : '';
}
