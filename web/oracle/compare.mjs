// Comparison of an answer of the reference with an answer of the harness. Messages are never compared.

import { visit } from 'graphql17';
import { CODES } from './reference.mjs';
import { canonical, field, parseJson, printJson, withoutOrder } from './json.mjs';

/** Largest number of violations that the gateway tells. */
const MAX_VIOLATIONS = 50;

/** Returns the first difference as `{kind, reference, harness}`, or undefined. The harness's answer is a line of JSON. */
export function compare(reference, line) {
  const answer = JSON.parse(line);
  if (answer.fault) return { kind: 'fault', reference: summary(reference), harness: answer.fault };
  const isOverLimit = answer.request?.some(({ code }) => code === 'QUERY_TOO_COMPLEX');
  if (isOverLimit && reference.stage !== 'introspection') return { kind: 'limit', reference: summary(reference), harness: line };
  if (('stage' in reference) !== ('request' in answer)) {
    const kind = 'stage' in reference ? 'only the reference refuses' : 'only the harness refuses';
    return { kind, reference: summary(reference), harness: line };
  }
  return 'stage' in reference ? compareRefusals(reference, answer) : compareResults(reference, answer, line);
}

/** Returns whether a type or directive is built in, and described by the library rather than by schema.graphql. */
export function isBuiltIn(name) {
  return /^(?:__.*|String|ID|Int|Float|Boolean|deprecated)$/.test(name);
}

/** Returns the data of an answer as text that is equal for equal data. */
export function normalData(text, introspectionKeys = new Set()) {
  const node = parseJson(text);
  // The specification does not order the lists of an introspection.
  const entries = node.entries?.map(([key, value]) => [key, introspectionKeys.has(key) ? withoutOrder(value, isNodeBuiltIn) : value]);
  return printJson(entries ? { entries } : node);
}

function isNodeBuiltIn(node) {
  const name = field(node, 'name')?.text;
  return name !== undefined && isBuiltIn(JSON.parse(name));
}

function compareRefusals({ stage, violations, rules }, answer) {
  const codes = answer.request.map(({ code }) => code);
  if (codes.length === 0 || !codes.every((code) => CODES[stage].includes(code))) {
    return { kind: `code at ${stage}`, reference: `${stage} ${rules}`, harness: codes.join(' ') };
  }

  const told = answer.violations ?? [];
  // Both sides stop counting at the limit, each where it is then.
  const isComplete = violations.length < MAX_VIOLATIONS && told.length < MAX_VIOLATIONS;
  if (stage !== 'variables' || !isComplete) return undefined;
  return differ('violations', violations.join(' '), [...new Set(told)].sort().join(' '));
}

function compareResults(reference, answer, line) {
  const keys = introspectionKeys(reference.document);
  const isMutation = reference.operation.operation === 'mutation';
  const paths = (errors) => [...new Set(errors.map((path) => JSON.stringify(path)))].sort().join(' ');
  const log = (calls) => {
    const texts = calls.map(({ field: name, key, arguments: args }) => canonical({ field: name, key, arguments: args }));
    return (isMutation ? texts : texts.sort()).join('\n');
  };

  return differ('data', normalData(reference.data, keys), normalData(printJson(field(parseJson(line), 'data')), keys))
    ?? differ('errors', paths(reference.errors), paths(answer.errors ?? []))
    ?? differ('calls', log(reference.calls), log(answer.calls ?? []));
}

/** Returns the response keys, in quotes, of all fields of a document that introspect the schema. */
export function introspectionKeys(document) {
  const keys = new Set();
  visit(document, {
    Field({ name, alias }) {
      if (['__schema', '__type'].includes(name.value)) keys.add(JSON.stringify((alias ?? name).value));
    },
  });
  return keys;
}

function differ(kind, reference, harness) {
  return reference === harness ? undefined : { kind, reference, harness };
}

function summary({ stage, rules, violations, data, errors }) {
  return stage ? `refused at ${stage}: ${[...rules, ...violations].join(' ')}` : `${data} ${JSON.stringify(errors)}`;
}
