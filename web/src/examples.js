/** Placeholder for an API key, which the user replaces with a real one. It is never sent. */
export const PLACEHOLDER = 'your key';

const json = (value) => JSON.stringify(value, null, 2);
const keyHeader = (key) => json({ 'x-api-key': key ?? PLACEHOLDER });

/** Returns the headers of a new tab. */
export const headersOfNewTab = (config) => keyHeader(config.buyerKey);

const CREATE = `# Creates a deal as a seller. Prices are in whole pence.
# The position is the place of the change in the log.
mutation Create($input: CreateDealInput!) {
  createDeal(input: $input) {
    position
    deal {
      id
      version
      name
      finalPrice
      currency
      status
    }
  }
}
`;

const UPDATE = `# Fields left out of the input stay as they are.
# Run it twice: the change is made only once, because
# both requests have the same idempotencyKey. A different
# change needs a different key.
mutation Update(
  $input: UpdateDealInput!
  $idempotencyKey: String
) {
  updateDeal(
    input: $input
    idempotencyKey: $idempotencyKey
  ) {
    position
    deal {
      id
      version
      name
      finalPrice
      status
      updatedAt
    }
  }
}
`;

const QUERY = `# Returns the first page of the deals a buyer may see.
# For the next page, set the variable "after" to
# endCursor. A subscription that starts after the first
# page's position misses no change.
query Query(
  $filter: DealFilter
  $orderBy: DealOrder!
  $first: Int
  $after: String
) {
  dealsForBuyer(
    filter: $filter
    orderBy: $orderBy
    first: $first
    after: $after
  ) {
    position
    pageInfo {
      hasNextPage
      endCursor
    }
    nodes {
      id
      name
      finalPrice
      status
    }
  }
}
`;

const SUBSCRIBE = `# Run this, then Create or Update in a second window:
# the change appears here immediately.
# Leaving this tab ends the subscription.
subscription Subscribe {
  dealChanged {
    position
    type
    changedFields
    deal {
      id
      version
      name
      finalPrice
      currency
      status
    }
  }
}
`;

const RESUME = `# Set the variable "after" to the last position you saw
# and run: the changes that you missed come first.
# After a lost connection this page resumes by itself.
subscription Resume($after: Position) {
  dealChanged(after: $after) {
    position
    type
    changedFields
    deal {
      id
      version
      name
      status
    }
  }
}
`;

/** Returns the tabs of a first visit. `config` is the content of config.json; only a demo market has keys in it. */
export function examples(config) {
  const seller = keyHeader(config.sellerKey);
  const buyer = keyHeader(config.buyerKey);
  return [
    {
      query: CREATE,
      variables: json({
        input: {
          name: 'Walnut table',
          totalPrice: 84900,
          currency: 'GBP',
          status: 'AVAILABLE',
          discount: { percentage: 12.5 },
          items: [
            { name: 'table top', price: 60000 },
            { name: 'legs', price: 24900 },
          ],
        },
      }),
      headers: seller,
    },
    {
      query: UPDATE,
      variables: json({
        input: { id: config.dealId ?? 'id of a deal', name: 'A better name' },
        // Random, because the market remembers the keys of earlier visits and would not make the change again.
        idempotencyKey: `update ${Math.random().toString(36).slice(2, 10)}`,
      }),
      headers: seller,
    },
    {
      query: QUERY,
      variables: json({
        filter: { statuses: ['AVAILABLE'], currency: 'GBP' },
        orderBy: 'PRICE_ASCENDING',
        first: 3,
        after: null,
      }),
      headers: buyer,
    },
    { query: SUBSCRIBE, variables: '', headers: buyer },
    { query: RESUME, variables: json({ after: null }), headers: buyer },
  ];
}
