// The program document_oracle: requests as lines of JSON to its standard input, answers as lines from its output.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from './json.mjs';

/** Longest time for one answer, in milliseconds. */
const TIMEOUT = 20_000;

/** A harness that answers in its own process. It is started again after it ended or hung. */
export class Harness {
  #command;
  #folder;
  #process;
  #waiting = [];

  /** Prepares a harness from the program with its arguments, to which the path of the world file is added. */
  constructor(command, world) {
    this.#folder = mkdtempSync(join(tmpdir(), 'dealwire-oracle-'));
    const file = join(this.#folder, 'world.json');
    writeFileSync(file, JSON.stringify(world));
    this.#command = [...command, file];
  }

  /** Returns the answer to a request as text. A program that ends or hangs answers `{"fault": …}`. */
  answer({ query, operationName, variables, behaviour = {} }) {
    if (!this.#process) this.#start();
    const child = this.#process;

    return new Promise((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT);
      this.#waiting.push((line) => (clearTimeout(timer), resolve(line)));
      child.stdin.write(`${stringify({ query, operationName, variables, behaviour })}\n`);
    });
  }

  stop() {
    this.#process?.stdin.end();
    rmSync(this.#folder, { recursive: true });
  }

  #start() {
    const [program, ...args] = this.#command;
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#process = child;

    createInterface({ input: child.stdout }).on('line', (line) => this.#waiting.shift()?.(line));
    // Writing to a program that has ended fails; its end is told below.
    child.stdin.on('error', () => {});
    child.once('error', (error) => this.#end(child, error.message));
    child.once('close', (code, signal) => this.#end(child, `ended with ${code ?? signal}`));
  }

  /** Tells the end of the program to all requests that wait. Which one caused it, the caller finds out one by one. */
  #end(child, reason) {
    if (this.#process === child) this.#process = undefined;
    for (const resolve of this.#waiting.splice(0)) resolve(JSON.stringify({ fault: reason }));
  }
}
