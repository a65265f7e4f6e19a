// Named requests: each was a difference once, or is too special to be generated. Where the two sides differ and both are
// right, or graphql-js is wrong, `known` is the kind of the difference, and the name says why.

/** Returns the requests with names for a world. */
export function named(world) {
  const [{ id: deal }] = world.deals;
  return [
    {
      name: 'a variable that is not sent is an absent field (3.10, 6.4.1)',
      query: `mutation ($id: ID!, $name: String, $discount: DiscountInput) {
        updateDeal(input: {id: $id, name: $name, discount: $discount}) { position }
      }`,
      variables: { id: '1' },
    },
    {
      name: 'null for a variable is a null field (6.4.1)',
      query: `mutation ($discount: DiscountInput) { updateDeal(input: {id: 1, discount: $discount}) { position } }`,
      variables: { discount: null },
    },
    {
      name: 'fragments that select the same mutation call it once (6.3.2)',
      query: `mutation { ...A ...B } fragment A on Mutation { deleteWebhook(id: 1) { id } }
        fragment B on Mutation { deleteWebhook(id: 1) { __typename id } }`,
    },
    {
      name: 'an unknown input field is refused beside variables (5.6.2)',
      query: `mutation ($n: String!) {
        createDeal(input: {name: $n, totalPrice: 1, currency: "GBP", items: [], discuont: {percentage: 50}}) { position }
      }`,
      variables: { n: 'a' },
    },
    {
      name: 'a directive takes the default of its variable (6.1.2)',
      query: 'query ($with: Boolean = true) { viewer { name @include(if: $with) id @skip(if: $with) } }',
    },
    {
      name: 'a nullable variable may stand where the argument has a default (5.8.5)',
      query: 'query ($order: DealOrder) { dealsForBuyer(orderBy: $order, first: 1) { nodes { id } } }',
    },
    {
      name: 'null for an argument with a default is an error of the field (6.4.1)',
      query: 'query ($order: DealOrder) { dealsForBuyer(orderBy: $order, first: 1) { nodes { id } } viewer { id } }',
      variables: { order: null },
    },
    {
      name: 'a root field that fails is null beside the others (6.4.4)',
      query: '{ viewer { id } dealsForSeller(first: 1) { nodes { id } } webhooks { id } }',
      behaviour: { dealsForSeller: 'fail' },
    },
    {
      name: 'a mutation that fails makes the data null and is the last (6.4.4)',
      query: 'mutation { a: deleteWebhook(id: 1) { id } b: deleteWebhook(id: 2) { id } c: deleteWebhook(id: 3) { id } }',
      behaviour: { b: 'fail' },
    },
    {
      name: 'keys come in the order of the document, whatever finishes first (7.2.2)',
      query: '{ webhooks { id } a: __typename viewer { id } __type(name: "Role") { name } node(id: 1) { id } b: __typename }',
      behaviour: { webhooks: 'slow' },
    },
    {
      name: 'a surrogate pair is one character (2.9.4)',
      query: 'mutation { createSeller(name: "smile \\uD83D\\uDE00 \\u{1F600}") { id } }',
    },
    {
      name: 'a block string keeps quotes and loses its indentation (2.9.4)',
      query: 'mutation { createSeller(name: """\n\n    say \\""" twice\r\n      more\\n\r\n  """) { id } }',
    },
    {
      name: 'a number without a fraction is an integer (3.5.1)',
      query: 'query ($n: Int) { dealsForBuyer(first: $n) { nodes { id } } }',
      variables: { n: 2.0 },
    },
    {
      name: 'one key for different fields is refused at every depth (5.3.2)',
      query: `{ d: deal(id: "${deal}") { x: name } d: deal(id: "${deal}") { x: status } }`,
    },
    {
      name: 'merged selections keep the order of their first occurrence (6.3.2)',
      query: '{ viewer { name } ... { viewer { id name } } ... on Query { viewer { role: role } } }',
    },
    {
      name: 'a variable that may be null is refused in a list of what is not null (5.8.5)',
      query: 'query ($id: ID) { dealsForBuyer(filter: {sellerIds: [$id]}) { position } }',
    },
    {
      name: 'an interface selects by the type of the object',
      query: `{ node(id: "${deal}") { __typename id ... on Deal { x: name } ... on Webhook { x: url } ... on Node { id } } }`,
    },
  ];
}
