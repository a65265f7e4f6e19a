// Named requests: each was a difference once, or is too special to be generated. Where the two sides differ and both are
// right, or graphql-js is wrong, `known` is the kind of the difference, and the name says why.

import { RawNumber } from './json.mjs';

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
      variables: { n: new RawNumber('2.0') },
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
    {
      name: 'an empty operation name names no operation (6.1)',
      query: 'query Q { viewer { id } }',
      operationName: '',
    },
    {
      name: 'an operation is chosen by its name among all kinds (6.1)',
      query: 'query A { viewer { id } } mutation B { deleteWebhook(id: 1) { id } } subscription C { accessChanged { granted } }',
      operationName: 'C',
    },
    {
      name: 'a document without the name of one of its operations is refused (6.1)',
      query: 'query A { viewer { id } } query B { viewer { id } }',
    },
    {
      name: 'null for the condition of a directive at the root is a wrong variable (a rule of ours; 6.3.2 does not say)',
      query: 'query ($with: Boolean = true) { viewer @include(if: $with) { name } webhooks { id } }',
      variables: { with: null },
    },
    {
      name: 'null for the condition of a directive below a root field is a wrong variable (a rule of ours; 6.3.2 does not say)',
      query: 'query ($with: Boolean = true) { viewer { name @skip(if: $with) } webhooks { id } }',
      variables: { with: null },
    },
    {
      name: 'an item of a list that is null is told with its index (6.1.2)',
      query: 'query ($ids: [ID!]) { dealsForBuyer(filter: {sellerIds: $ids}) { position } }',
      variables: { ids: ['a', null, 1.5] },
    },
    {
      name: 'a single value is a list of one, and an empty list stays one (3.12)',
      query: `query ($ids: [ID!], $states: [DealStatus!]) {
        a: dealsForBuyer(filter: {sellerIds: $ids, statuses: SOLD}, first: 1) { position }
        b: dealsForBuyer(filter: {sellerIds: [], statuses: $states}, first: 1) { position }
      }`,
      variables: { ids: 5, states: 'SOLD' },
    },
    {
      name: 'every wrong variable is told, up to 50',
      query: 'mutation ($input: CreateDealInput!) { createDeal(input: $input) { position } }',
      variables: { input: { items: Array.from({ length: 60 }, () => ({ name: 1 })) } },
    },
    {
      name: 'introspection takes variables, fragments and directives (4.1)',
      query: `query ($name: String!, $all: Boolean = true) { __type(name: $name) { ...T kind @skip(if: $all) } }
        fragment T on __Type { __typename name fields(includeDeprecated: $all) { name args { name defaultValue } } }`,
      variables: { name: 'Query' },
    },
    {
      name: 'a meta field may be selected under every type (4.1)',
      query: '{ __typename __schema { __typename queryType { __typename } } viewer { __typename } }',
    },
    {
      name: 'a price beyond 64 bits is a price (scalars.rs)',
      query: `query ($price: MinorUnits) {
        a: dealsForBuyer(filter: {currency: "GBP", minTotalPrice: 9223372036854775808}, first: 1) { position }
        b: dealsForBuyer(filter: {currency: "GBP", minTotalPrice: $price}, first: 1) { position }
      }`,
      variables: { price: new RawNumber('1e300') },
      known: 'calls',
    },
    {
      name: 'a value for a variable that is not declared is ignored (6.1.2)',
      query: 'query ($id: ID!) { deal(id: $id) { id } }',
      variables: { id: 1, other: { a: [1] } },
    },
    {
      name: 'the same string in another notation is the same argument (5.3.2); graphql-js compares notations',
      query: 'mutation { createSeller(name: "a") { id } createSeller(name: """a""") { name } }',
      known: 'only the reference refuses',
    },
    {
      name: 'lists of different lengths are different arguments, also if one begins like the other (5.3.2)',
      query: `{ dealsForSeller(filter: {statuses: []}) { position }
        dealsForSeller(filter: {statuses: [SOLD]}) { position } }`,
    },
    {
      name: 'a comma has no meaning, also before what a parser looks ahead for (2.1.7)',
      query: '"D",query Q,{viewer{a,:id,...,F,...,on,Viewer{b,#,\n,:name}}},fragment,F,on,Viewer{role}',
    },
    {
      name: 'an argument without a value is a syntax error (2.6)',
      query: 'mutation { updateDeal(input: {id: 1} idempotencyKey) { position } }',
    },
    {
      name: 'an input field without a value is a syntax error (2.9.8)',
      query: 'mutation { updateDeal(input: {id: 1 expectedVersion}) { position } }',
    },
    {
      name: 'an argument of a directive without a value is a syntax error (2.6)',
      query: '{ viewer @include(if if: true) { id } }',
    },
    {
      name: 'a required argument without a value is a syntax error (2.6)',
      query: '{ deal(id) { id } }',
    },
    {
      name: 'a subscription may select its one root field more than once (5.2.4.1)',
      query: `subscription { ...F accessChanged { granted } } fragment F on Subscription { accessChanged { buyerId } }`,
    },
    {
      name: 'a subscription that is not executed has one root field without conditions, too (5.2.4.1)',
      query: 'query A { viewer { id } } subscription B { accessChanged @skip(if: false) { granted } }',
      operationName: 'A',
    },
    {
      name: 'a default of an operation that is not executed fits its type, too (5.6.1)',
      query: 'query A { viewer { id } } query B($p: MinorUnits = 0.5) { dealsForBuyer(filter: {minTotalPrice: $p}) { position } }',
      operationName: 'A',
    },
    {
      name: 'a literal of an operation that is not executed fits its type, too (5.6.1)',
      query: 'query A { viewer { id } } mutation B { replayWebhook(input: {webhookId: 1, since: "soon"}) { sent } }',
      operationName: 'A',
    },
    {
      name: 'a list of a custom scalar may not stand for the scalar, nor hold variables for it (5.6.1)',
      query: 'query ($c: String) { dealsForBuyer(filter: {currency: [$c]}) { position } }',
      variables: { c: 'GBP' },
    },
    {
      name: 'a oneOf object has one field that is not null (3.10.1)',
      query: 'mutation ($a: UpdateDealInput!, $b: UpdateDealInput!, $c: UpdateDealInput!, $d: UpdateDealInput!) {'
        + [...'abcd'].map((name) => `${name}: updateDeal(input: $${name}) { position }`).join(' ') + '}',
      variables: {
        a: { id: 1, discount: {} },
        b: { id: 1, discount: { amount: null } },
        c: { id: 1, discount: { amount: 'x', percentage: 2 } },
        d: { id: 1, discount: { toString: 1 } },
      },
    },
    {
      name: 'a oneOf object may not take its field from a variable that may be null (5.8.5)',
      query: 'mutation ($p: Float) { updateDeal(input: {id: 1, discount: {percentage: $p}}) { position } }',
      variables: { p: 5 },
    },
    {
      name: 'a float is finite (3.5.2); graphql-js takes an infinite one',
      query: 'mutation { updateDeal(input: {id: 1, discount: {percentage: 1e400}}) { position } }',
      known: 'only the harness refuses',
    },
    {
      name: 'a description stands before an operation and a fragment (2.4)',
      query: '"One" query Q { viewer { ...F } } """Two""" fragment F on Viewer { id }',
    },
    {
      name: 'a selection set is not empty (2.5)',
      query: '{ viewer { } }',
    },
    {
      name: 'nesting beyond the limit is refused by us only (document/limits.rs)',
      query: `{ viewer { ${'... { '.repeat(40)} id ${'} '.repeat(40)} } }`,
      known: 'limit',
    },
    {
      name: 'more root fields than the limit are refused by us only (document/limits.rs)',
      query: `{ ${Array.from({ length: 30 }, (_, index) => `a${index}: webhooks { id }`).join(' ')} }`,
      known: 'limit',
    },
  ];
}
