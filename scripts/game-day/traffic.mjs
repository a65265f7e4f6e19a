// Traffic beside the scenes: a seller that makes one change after the other, and a buyer that subscribes to all of them.
//
// Each change gives a deal a name that no other change has. The seller repeats a mutation with its key until it is
// acknowledged; the buyer goes on from the position that it has stored. So the names that were acknowledged, those that were
// pushed, and those in the tables can be compared.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

import { seen } from './tell.mjs';
import { until } from './wait.mjs';

const SELLER = 'some-secret-api-key';
const BUYER = '90d57fe0-0fa1-4dae-a51c-917cc82bcddc';
/** Time between two changes, in milliseconds. */
const PACE = 25;
/** Changes that must be acknowledged and pushed before a market counts as going on. */
const ENOUGH = 25;
/** Versions of each deal. */
const VERSIONS = 4;
/** Codes after which a client repeats itself. */
const REPEATABLE = ['UNAVAILABLE', 'UNKNOWN_OUTCOME', 'CONFLICT'];
/** Time that a client waits for an answer, in milliseconds. */
const PATIENCE = 8_000;

const CREATE = `mutation($input: CreateDealInput!, $key: String) {
  createDeal(input: $input, idempotencyKey: $key) { deal { id } position } }`;
const UPDATE = `mutation($input: UpdateDealInput!, $key: String) {
  updateDeal(input: $input, idempotencyKey: $key) { deal { id } position } }`;
const CHANGES = 'subscription($after: Position) { dealChanged(after: $after) { position deal { name } } }';
const NOW = '{ dealsForBuyer(first: 1) { position nodes { name } } }';
const DEALS = `query($after: String) { dealsForBuyer(first: 100, after: $after) {
  nodes { id name } pageInfo { hasNextPage endCursor } } }`;

export class Traffic {
  /** Makes a first change, and begins after it: the buyer follows from its position. */
  static async start(market) {
    const traffic = new Traffic();
    Object.assign(traffic, {
      market,
      number: 0,
      acknowledged: new Set(),
      pushed: new Set(),
      // The last name of each deal that was acknowledged.
      deals: new Map(),
      refused: 0,
      // Error by which the buyer was told that its position has expired, until it has another one; a fault unless expected.
      expired: undefined,
      mayExpire: false,
      stopping: false,
      ending: new AbortController(),
    });
    traffic.position = (await traffic.create('before the first deal', 'before the first deal')).position;
    traffic.acknowledged.clear();
    traffic.writing = traffic.write();
    traffic.reading = traffic.read();
    return traffic;
  }

  counts() {
    return { acknowledged: this.acknowledged.size, pushed: this.pushed.size, refused: this.refused };
  }

  /** Waits until more changes were acknowledged, and everything acknowledged by then was pushed. */
  async goesOn() {
    const goal = this.acknowledged.size + ENOUGH;
    await until('more changes are acknowledged', () => this.acknowledged.size >= goal);
    const names = [...this.acknowledged];
    await until('every acknowledged change is pushed', () => names.every((name) => this.pushed.has(name)));
  }

  /** Waits until a mutation is refused with one of these codes, and shows the answer. */
  async isRefused(...codes) {
    this.refusal = undefined;
    const answer = await until(`a mutation is refused with ${codes.join(' or ')}`, () => (
      codes.includes(this.refusal?.errors[0].extensions.code) && this.refusal
    ));
    seen('answer to a mutation', JSON.stringify(answer));
  }

  /** Lets the seller finish what it has begun and then rest, and waits until the buyer has all of it. */
  async pause() {
    this.stopping = true;
    await this.writing;
    await until('every acknowledged change is pushed', () => this.pushed.size >= this.acknowledged.size);
  }

  resume() {
    this.stopping = false;
    this.writing = this.write();
  }

  /** What was acknowledged and pushed until now, for Traffic.goBackTo. */
  copy() {
    return { acknowledged: new Set(this.acknowledged), pushed: new Set(this.pushed), deals: new Map(this.deals) };
  }

  /**
   * Forgets what was acknowledged since a copy, and lets the buyer follow from now on as a client does that is told
   * POSITION_EXPIRED: it queries, and subscribes after the position of the answer. Shows both. The seller must rest.
   */
  async goBackTo(copy) {
    const expired = await until('the buyer is told POSITION_EXPIRED', () => this.expired);
    seen('the open subscription', JSON.stringify(expired));
    const answer = await this.ask(BUYER, NOW, {});
    seen('answer to the query of the buyer', JSON.stringify(answer));
    Object.assign(this, copy, { position: answer.data.dealsForBuyer.position, expired: undefined });
  }

  /** Ends the traffic, and compares what was acknowledged, what was pushed, and what the tables hold. */
  async finish() {
    await this.pause();
    // One seller makes them all, one after the other: the order of the log is that of the acknowledgements.
    assert.deepEqual([...this.pushed], [...this.acknowledged], 'what was pushed, and what was acknowledged');

    const stored = new Map();
    let after = null;
    do {
      const { nodes, pageInfo } = (await this.ask(BUYER, DEALS, { after })).data.dealsForBuyer;
      for (const { id, name } of nodes) stored.set(id, name);
      after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
    } while (after !== null);
    for (const [id, name] of this.deals) assert.equal(stored.get(id), name, `deal ${id} in the tables`);
    this.abandon();
  }

  abandon() {
    this.stopping = true;
    this.ending.abort();
  }

  /** Creates deals and changes each of them a few times, until it is told to stop. */
  async write() {
    while (!this.stopping) {
      this.number += 1;
      const { number } = this;
      const { deal } = await this.create(`deal ${number}`, `create ${number}`);
      for (let version = 2; version <= VERSIONS && !this.stopping; version += 1) {
        await pause(PACE);
        await this.rename(deal.id, `deal ${number}, version ${version}`);
      }
    }
  }

  /** Creates a deal, and repeats that until it is acknowledged. */
  async create(name, key) {
    const input = { name, totalPrice: 1000, currency: 'GBP', items: [{ name: 'item', price: 1000 }] };
    return this.insist(CREATE, 'createDeal', { input, key }, name);
  }

  async rename(id, name) {
    return this.insist(UPDATE, 'updateDeal', { input: { id, name }, key: name }, name);
  }

  async insist(mutation, field, variables, name) {
    for (;;) {
      const answer = await this.ask(SELLER, mutation, variables).catch(() => undefined);
      if (answer?.data?.[field]) {
        const made = answer.data[field];
        this.acknowledged.add(name);
        this.deals.set(made.deal.id, name);
        return made;
      }

      // No answer is one that may pass, too: the gateway is away.
      const repeats = !answer || REPEATABLE.includes(answer.errors[0].extensions.code);
      assert.ok(repeats, `a mutation was refused: ${JSON.stringify(answer)}`);
      this.refused += 1;
      this.refusal = answer ?? this.refusal;
      await pause(PACE);
      if (this.ending.signal.aborted) return new Promise(() => {});
    }
  }

  async ask(key, query, variables) {
    const response = await fetch(`${this.market.gateway.origin}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': key },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(PATIENCE),
    });
    return response.json();
  }

  /** Follows the changes over Server-Sent Events, and resumes after the last one whenever the connection ends. */
  async read() {
    while (!this.ending.signal.aborted) {
      try {
        if (this.expired) await until('the buyer has another position', () => !this.expired);
        await this.follow();
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        await pause(PACE);
      }
    }
  }

  async follow() {
    const response = await fetch(`${this.market.gateway.origin}/graphql`, {
      method: 'POST',
      headers: { accept: 'text/event-stream', 'content-type': 'application/json', 'x-api-key': BUYER },
      body: JSON.stringify({ query: CHANGES, variables: { after: this.position } }),
      signal: this.ending.signal,
    });
    if (!response.ok) throw new Error(`status ${response.status}`);

    let text = '';
    for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
      const events = (text + part).split('\n\n');
      text = events.pop();
      for (const event of events) this.take(event);
    }
  }

  take(event) {
    const fields = event.split('\n').map((line) => /^(\w+): ?(.*)$/.exec(line)).filter(Boolean);
    const values = Object.fromEntries(fields.map(([, name, value]) => [name, value]));
    if (values.event !== 'next' || !values.data) return;

    const { data, errors } = JSON.parse(values.data);
    if (errors && REPEATABLE.includes(errors[0].extensions.code)) throw new Error(errors[0].message);
    if (errors && errors[0].extensions.code === 'POSITION_EXPIRED' && this.mayExpire) {
      this.expired = { errors };
      throw new Error('the position has expired');
    }
    assert.ok(!errors, `the subscription ended: ${values.data}`);

    const { position, deal: { name } } = data.dealChanged;
    assert.ok(!this.pushed.has(name), `“${name}” was pushed twice`);
    // A change of another hand, such as the operator's, is not counted.
    this.position = position;
    if (/^deal \d+/.test(name)) this.pushed.add(name);
  }
}
