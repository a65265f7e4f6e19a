/** Stands where a key belongs until somebody pastes one; it is never sent. */
export const PLACEHOLDER = 'your key';

const json = (value) => JSON.stringify(value, null, 2);
const keyHeader = (key) => json({ 'x-api-key': key ?? PLACEHOLDER });

/** The headers of a tab that somebody opens. */
export const headersOfNewTab = (config) => keyHeader(config.buyerKey);

const CREATE = `# A seller creates a deal. Prices are in whole pence.
# The position says where the change stands in the log.
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
# Run it twice: the change is made once, for both runs
# have one idempotencyKey. Another change needs another.
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

const QUERY = `# The first page of what a buyer may see. For the next,
# put endCursor into the variable "after".
# Who subscribes after the first page's position
# misses no change.
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
# the change is pushed here at once.
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

const RESUME = `# Put the last position that you saw into the variable
# "after", and run: what you missed comes first.
# After a broken connection this page resumes by itself.
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

/** The tabs of a first visit. `config` is what config.json says; without the demo market it names no keys. */
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
        // New with every first visit: the market remembers the keys of earlier ones.
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
