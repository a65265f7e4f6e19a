// The data that both sides answer from: one file, made from a seed. README.md describes its format.

import { Random } from './random.mjs';

/** Numbers of the objects in a world. There are more deals than a page has without `first`, so that pages end. */
const DEALS = 23;
const WEBHOOKS = 3;
const DELIVERIES = 22;
const REPLAYS = 4;
const ACCESSES = 21;
const API_KEYS = 3;

/** Texts whose escapes in JSON and whose lengths in UTF-8 and UTF-16 differ. */
const TEXTS = [
  'plain', 'with "quotes" and \\backslash\\', 'line\nbreak\ttab\rreturn', 'control \u0001\u001f\u007f', '😀 𝒳 é ü ß',
  'line\u2028and\u2029paragraph', '</script>&amp;', '日本語', ' spaces ', 'a/b', '\b\f',
];
const STATUSES = ['AVAILABLE', 'RESERVED', 'SOLD', 'WITHDRAWN'];
const DISCOUNTS = [
  null, { amount: 1 }, { amount: 2_500 }, { percentage: 12.5 }, { percentage: 33.33 }, { percentage: 0 },
  { percentage: 100 }, { percentage: 0.01 }, { percentage: 50 }, { amount: 0 },
];
const PRICES = [0, 1, 3, 100, 129_900, 4_294_967_296, Number.MAX_SAFE_INTEGER];

/** Returns the world of a seed. */
export function makeWorld(seed) {
  const random = new Random(seed);
  const sellers = Array.from({ length: 4 }, () => random.uuid());
  const buyers = Array.from({ length: ACCESSES }, () => random.uuid());
  const positions = Array.from({ length: 8 }, (_, index) => position(1_000 + index, index % 2 ? 0 : 0xffff));
  const deals = Array.from({ length: DEALS }, (_, index) => deal(random, index, sellers));
  const webhooks = Array.from({ length: WEBHOOKS }, (_, index) => webhook(random, index, sellers));

  return {
    viewer: { role: 'BUYER', id: buyers[0], name: 'The viewer "B" 😀' },
    deals,
    accesses: buyers.map((buyerId, index) => ({ sellerId: sellers[index % 4], buyerId, since: time(random, index) })),
    webhooks,
    deliveries: Array.from({ length: DELIVERIES }, (_, index) => delivery(random, index, webhooks, positions)),
    replays: Array.from({ length: REPLAYS }, (_, index) => replay(random, index, webhooks)),
    accounts: [account(random, 'SELLER', 'A new seller'), account(random, 'BUYER', 'A new\nbuyer')],
    apiKeys: Array.from({ length: API_KEYS }, (_, index) => apiKey(random, index, buyers)),
    issuedKeys: [{ id: random.uuid(), accountId: buyers[1], key: 'key_of_"the"_account' }],
    revokedKeys: [{ id: random.uuid(), revokedAt: time(random, 3) }],
    secrets: ['whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'],
    positions,
    changes: [
      { field: 'dealChanged', type: 'UPDATED', dealId: deals[2].id, changedFields: ['NAME', 'ITEMS'], skipped: 0, position: positions[1] },
      { field: 'accessChanged', sellerId: sellers[0], buyerId: buyers[0], granted: true, position: positions[2] },
    ],
    log: {
      projections: [{ side: 'SELLER', sequence: 40, head: 44, generation: 2 }, { side: 'BUYER', sequence: 44, head: 44, generation: 1 }],
      deadEvents: TEXTS.map((text, index) => ({ sequence: index + 7, subject: `deal.${index}`, reason: text, settled: index % 2 === 0 })),
      // The headers are in the order of their names, as the log keeps them.
      storedEvent: { sequence: 8, subject: 'deal.1', problem: 'its "body" is not JSON', headers: [['ce-id', 'a'], ['ce-type', TEXTS[1]]], body: TEXTS[4] },
    },
  };
}

/** Returns a deal's price less its discount, with half a minor unit rounded up (backbone/src/money.rs). */
export function finalPrice({ totalPrice, discount }) {
  if (discount === null) return totalPrice;
  if (discount.amount !== undefined) return Math.max(0, totalPrice - discount.amount);

  // In whole numbers of any size: 2^53 times 10,000 is beyond what a double keeps.
  const basisPoints = BigInt(Math.round(discount.percentage * 100));
  return Number((BigInt(totalPrice) * (10_000n - basisPoints) + 5_000n) / 10_000n);
}

/** Returns a deal's cursor in the order LAST_CHANGED_FIRST: base64url of the letter c and the sequence in 8 bytes. */
export function dealCursor({ sequence }) {
  const bytes = Buffer.alloc(9, 'c');
  bytes.writeBigUInt64BE(BigInt(sequence), 1);
  return bytes.toString('base64url');
}

/** Returns an encoded position: version, epoch, sequence and index (backbone/src/position.rs). */
function position(sequence, index) {
  const bytes = Buffer.alloc(19);
  bytes.writeUInt8(1, 0);
  bytes.writeBigInt64BE(7_777_777n, 1);
  bytes.writeBigUInt64BE(BigInt(sequence), 9);
  bytes.writeUInt16BE(index, 17);
  return bytes.toString('base64url');
}

/** Returns a time as the gateway writes it: in UTC, without zeros at the end of the fraction. */
function time(random, index) {
  const whole = new Date(Date.UTC(2026, index % 12, 1 + (index % 28), index % 24, index % 60, index % 60));
  const micros = index % 5 === 0 ? 0 : random.integer(1, 999_999);
  const fraction = micros === 0 ? '' : `.${String(micros).padStart(6, '0').replace(/0+$/, '')}`;
  return whole.toISOString().replace('.000Z', `${fraction}Z`);
}

function deal(random, index, sellers) {
  const items = Array.from({ length: 1 + (index % 3) }, (_, item) => (
    { id: random.uuid(), name: TEXTS[(index + item) % TEXTS.length], price: PRICES[(index + item) % PRICES.length] }
  ));

  return {
    id: random.uuid(),
    sellerId: sellers[index % sellers.length],
    name: TEXTS[index % TEXTS.length],
    totalPrice: PRICES[index % PRICES.length],
    currency: ['GBP', 'EUR', 'JPY'][index % 3],
    status: STATUSES[index % STATUSES.length],
    discount: DISCOUNTS[index % DISCOUNTS.length],
    items,
    version: 1 + index,
    createdAt: time(random, index),
    updatedAt: time(random, index + 1),
    sequence: 900 - index,
  };
}

function webhook(random, index, sellers) {
  return {
    id: random.uuid(),
    url: `https://example.com/hook/${index}?a=1&b="2"`,
    events: [['DEAL_CREATED'], ['DEAL_UPDATED', 'DEAL_CREATED'], ['DEAL_UPDATED']][index % 3],
    sellerIds: [null, sellers.slice(0, 2), [sellers[3]]][index % 3],
    description: [null, 'Orders\nof "today"', ''][index % 3],
    state: ['ACTIVE', 'PAUSED', 'DISABLED'][index % 3],
    disabledReason: index % 3 === 2 ? 'answered 410 Gone' : null,
    counts: { owed: 22 + index, delivered: 10, pending: 6 + index, dead: 4, discarded: 2 },
    createdAt: time(random, index),
  };
}

function delivery(random, index, webhooks, positions) {
  const attempt = (number) => ({
    number,
    at: time(random, index + number),
    statusCode: number === 1 ? null : 503,
    error: number === 3 ? null : 'connection "refused"',
    durationMs: number * 1_000,
    responseBody: number === 1 ? null : '<html>\u0000\n',
  });

  return {
    id: random.uuid(),
    webhookId: webhooks[index % webhooks.length].id,
    event: ['DEAL_CREATED', 'DEAL_UPDATED', 'TEST'][index % 3],
    state: ['PENDING', 'DELIVERED', 'DEAD', 'DISCARDED'][index % 4],
    position: positions[index % positions.length],
    attempts: Array.from({ length: (index + 3) % 4 }, (_, number) => attempt(number + 1)),
    nextAttemptAt: index % 4 === 0 ? time(random, index + 5) : null,
    createdAt: time(random, index),
    body: index % 4 === 3 ? null : `{"type":"deal.created","n":${index},"text":"é 😀"}`,
  };
}

function replay(random, index, webhooks) {
  return {
    id: random.uuid(),
    webhookId: webhooks[index % webhooks.length].id,
    state: ['RUNNING', 'DONE', 'CANCELLED', 'DRY_RUN'][index % 4],
    matched: 1_000 * index,
    sent: 10 * index,
    createdAt: time(random, index),
  };
}

function account(random, role, name) {
  const disabledAt = role === 'BUYER' ? time(random, 7) : null;
  return { id: random.uuid(), role, name, createdAt: time(random, name.length), disabledAt };
}

function apiKey(random, index, buyers) {
  const maybe = (number) => (index % 3 === number ? null : time(random, index + number));

  return {
    id: random.uuid(),
    accountId: buyers[index],
    label: [null, 'laptop "of" Anna\n', ''][index % 3],
    createdAt: time(random, index),
    lastUsedAt: maybe(0),
    expiresAt: maybe(1),
    revokedAt: maybe(2),
  };
}
