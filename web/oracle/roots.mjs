// Root fields over the data of a world, as README.md lists them.

import { dealCursor, finalPrice } from './world.mjs';

const DEFAULT_PAGE = 20;

/** Returns the data of a world in the shape of the output types. */
export function dataOf(world) {
  const deals = world.deals.map((deal) => ({
    ...deal,
    __typename: 'Deal',
    finalPrice: finalPrice(deal),
    discount: discount(deal.discount),
  }));
  const typed = (list, name) => list.map((object) => ({ ...object, __typename: name }));

  return {
    ...world,
    deals,
    webhooks: typed(world.webhooks, 'Webhook'),
    deliveries: typed(world.deliveries, 'WebhookDelivery'),
    changes: world.changes.map((change) => ({ ...change, deal: deals.find(({ id }) => id === change.dealId) })),
  };
}

/** Returns the functions of all root fields, each from its coerced arguments to its answer. */
export function rootFields(data) {
  return { ...queries(data), ...mutations(data), ...subscriptions(data) };
}

function queries(data) {
  const [position] = data.positions;
  const withId = (objects, id) => objects.find((object) => object.id === id) ?? null;
  const deals = ({ first, last }) => page(data.deals, first ?? last, dealCursor, position);

  return {
    viewer: () => data.viewer,
    node: ({ id }) => withId([...data.deals, ...data.webhooks, ...data.deliveries], id),
    deal: ({ id }) => withId(data.deals, id),
    dealsForBuyer: deals,
    dealsForSeller: deals,
    accessForBuyer: ({ first }) => page(data.accesses, first, ({ sellerId }) => sellerId),
    accessForSeller: ({ first }) => page(data.accesses, first, ({ buyerId }) => buyerId),
    changes: ({ first }) => ({
      changes: data.changes.filter(({ field }) => field === 'dealChanged').slice(0, Math.max(0, first ?? DEFAULT_PAGE)),
      position,
      more: false,
    }),
    projections: () => data.log.projections,
    deadEvents: ({ side, first }) => data.log.deadEvents.slice(0, Math.max(0, first ?? DEFAULT_PAGE)).map((dead) => ({ ...dead, side })),
    storedEvent: () => storedEvent(data.log.storedEvent),
    apiKeys: () => data.apiKeys,
    webhooks: () => data.webhooks,
    webhookDeliveries: ({ first }) => page(data.deliveries, first, ({ id }) => id),
    webhookReplays: () => data.replays,
  };
}

function mutations(data) {
  const [position] = data.positions;
  const [deal] = data.deals;
  const [access] = data.accesses;
  const [webhook] = data.webhooks;
  const [delivery] = data.deliveries;
  const [secret] = data.secrets;

  return {
    createDeal: () => ({ deal, position }),
    updateDeal: () => ({ deal, position }),
    grantAccess: () => ({ access, granted: true, position }),
    revokeAccess: () => ({ access, granted: false, position }),
    createSeller: () => data.accounts[0],
    createBuyer: () => data.accounts[1],
    disableAccount: () => data.accounts[1],
    enableAccount: () => data.accounts[0],
    issueApiKey: () => data.issuedKeys[0],
    revokeApiKey: () => data.revokedKeys[0],
    repairEvent: ({ sequence }) => ({ sequence, position }),
    skipEvent: ({ sequence }) => ({ sequence, position }),
    discardEvent: ({ sequence }) => ({ sequence, position }),
    registerWebhook: () => ({ webhook, secret }),
    updateWebhook: () => ({ webhook }),
    deleteWebhook: () => ({ id: webhook.id }),
    rotateWebhookSecret: () => ({ webhook, secret }),
    testWebhook: () => ({ delivery }),
    replayWebhookDelivery: () => ({ delivery }),
    replayWebhook: () => data.replays[0],
    cancelWebhookReplay: () => data.replays[0],
  };
}

function subscriptions(data) {
  const first = (field) => data.changes.find((change) => change.field === field);
  return { dealChanged: () => first('dealChanged'), accessChanged: () => first('accessChanged') };
}

function page(all, count, cursor, position) {
  const nodes = all.slice(0, Math.max(0, count ?? DEFAULT_PAGE));
  const edges = nodes.map((node) => ({ cursor: cursor(node), node }));
  const pageInfo = {
    hasNextPage: nodes.length < all.length,
    hasPreviousPage: false,
    startCursor: edges[0]?.cursor ?? null,
    endCursor: edges.at(-1)?.cursor ?? null,
  };
  return { edges, nodes, pageInfo, position };
}

function storedEvent(stored) {
  const headers = stored.headers.map(([name, value]) => ({ name, value }));
  return { ...stored, headers, bodyBase64: Buffer.from(stored.body).toString('base64') };
}

function discount(given) {
  if (given === null) return null;
  const { amount = null, percentage = null } = given;
  return { type: amount === null ? 'PERCENTAGE' : 'FLAT', amount, percentage };
}
