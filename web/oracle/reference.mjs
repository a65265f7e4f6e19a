// Answers of graphql-js 17 to requests, from the data of a world.

import { execute, getNullableType, GraphQLError, isInputObjectType, isListType, isNonNullType, parse, specifiedRules, subscribe,
  typeFromAST, validate, validateInputValue, valueFromASTUntyped, visit } from 'graphql17';
import { dataOf, rootFields } from './roots.mjs';

/** Arguments whose values are looked up in a request's `behaviour`, in this order. */
const IDS = ['id', 'webhookId', 'accountId', 'buyerId', 'sellerId'];

/** Rules about literals, which may be told like wrong variables, also where other rules are broken beside them. */
const LITERAL_RULES = ['ValuesOfCorrectTypeRule', 'UniqueInputFieldNamesRule'];

/** Rules that the gateway's grammar holds too: it is the grammar of executable documents, without empty selections. */
const GRAMMAR_RULES = ['ExecutableDefinitionsRule', 'EmptySelectionSet'];

/** Error codes of the stages before execution. */
export const CODES = {
  parse: ['GRAPHQL_PARSE_FAILED'],
  grammar: ['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED'],
  document: ['GRAPHQL_VALIDATION_FAILED'],
  // Not a rule of the specification, but a limit: introspection can nest without end.
  introspection: ['GRAPHQL_VALIDATION_FAILED', 'QUERY_TOO_COMPLEX'],
  literal: ['GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT'],
  operation: ['BAD_REQUEST', 'BAD_USER_INPUT', 'GRAPHQL_VALIDATION_FAILED'],
  variables: ['BAD_USER_INPUT'],
  subscription: ['BAD_REQUEST', 'BAD_USER_INPUT', 'GRAPHQL_VALIDATION_FAILED'],
};

export class Reference {
  #schema;
  #roots;

  constructor(schema, world) {
    this.#schema = schema;
    this.#roots = rootFields(dataOf(world));
  }

  /**
   * Returns the answer to a request: `{stage, rules, violations}` if it is refused at this stage, or
   * `{data, errors, calls}`. Both have `fields`: the names of the fields that were resolved.
   */
  async answer({ query, operationName = null, variables = {}, behaviour = {} }) {
    const parsed = parseDocument(query);
    if (!parsed) return refusal('parse');

    const rules = brokenRules(this.#schema, parsed);
    if (rules.length > 0) return refusal(stageOf(rules), { rules });

    const operation = chosen(parsed, operationName);
    if (!operation) return refusal('operation');

    const violations = this.#violations(parsed, operation, variables ?? {});
    if (violations.length > 0) return refusal('variables', { violations, operation });

    return this.#execute({ document: parsed, operation, operationName, variables, behaviour });
  }

  async #execute({ document, operation, operationName, variables, behaviour }) {
    const calls = [];
    const fields = new Set();
    const isSubscription = operation.operation === 'subscription';
    const call = (source, args, context, info) => {
      const key = String(info.path.key);
      const { fieldName: field } = info;
      calls.push({ field, key, arguments: args, definition: info.parentType.getFields()[field], node: info.fieldNodes[0] });
      return behave(behaviour, key, args, info.returnType, () => this.#roots[field](args));
    };

    const request = {
      schema: this.#schema,
      document,
      operationName,
      variableValues: variables,
      typeResolver: (value) => value.__typename,
      fieldResolver: (source, args, context, info) => {
        fields.add(`${info.parentType.name}.${info.fieldName}`);
        return info.path.prev === undefined && !isSubscription ? call(source, args, context, info) : source[info.fieldName];
      },
      subscribeFieldResolver: async function* events(source, args, context, info) {
        yield { [info.fieldName]: await call(source, args, context, info) };
      },
    };

    const result = await (isSubscription ? firstEvent(request) : execute(request));
    if (!('data' in result)) return refusal('subscription');
    return {
      data: JSON.stringify(result.data),
      errors: (result.errors ?? []).map(({ path }) => path ?? []),
      calls,
      fields,
      document,
      operation,
    };
  }

  /** Returns the paths of all wrong variables, sorted. */
  #violations(document, { variableDefinitions = [] }, variables) {
    const paths = new Set();
    const conditions = conditionsOf(document);
    for (const { variable, type: node, defaultValue } of variableDefinitions) {
      const name = variable.name.value;
      const type = typeFromAST(this.#schema, node);
      const isSent = Object.hasOwn(variables, name);
      // A rule of ours: a condition needs an answer. The specification (section 6.3.2) does not say what null means, and for
      // graphql-js it is an error of whatever the condition stands in.
      const value = isSent ? variables[name] : defaultValue && valueFromASTUntyped(defaultValue);
      if (conditions.has(name) && value === null) paths.add(name);
      if (!isSent && (defaultValue || !isNonNullType(type))) continue;
      const wrong = [];
      validateInputValue(variables[name], type, (error, path) => wrong.push([...path, ...fieldOf(error)]));
      for (const path of withOneOfRule(type, variables[name], wrong)) paths.add([name, ...path].join('.'));
    }
    return [...paths].sort();
  }
}

/** Returns the names of the rules that a document breaks, each once. */
export function brokenRules(schema, document) {
  const broken = new Set();
  // Each rule gets a context of its own that knows the rule's name, which errors do not carry.
  const recording = specifiedRules.map((rule) => (context) => rule(Object.create(context, {
    reportError: { value: (error) => (broken.add(rule.name), context.reportError(error)) },
  })));
  const errors = validate(schema, document, recording, { hideSuggestions: true });
  visit(document, {
    // graphql-js admits empty selection sets, against the grammar (specification, section 2.5).
    SelectionSet: ({ selections }) => void (selections.length === 0 && broken.add('EmptySelectionSet')),
  });
  return errors.length > 0 && broken.size === 0 ? ['unknown'] : [...broken];
}

/** Returns the parsed document, or undefined for a syntax error. */
export function parseDocument(text) {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof GraphQLError) return undefined;
    throw error;
  }
}

function stageOf(rules) {
  if (rules.some((rule) => GRAMMAR_RULES.includes(rule))) return 'grammar';
  if (rules.some((rule) => LITERAL_RULES.includes(rule))) return 'literal';
  return rules.every((rule) => rule === 'MaxIntrospectionDepthRule') ? 'introspection' : 'document';
}

function refusal(stage, { rules = [], violations = [], operation } = {}) {
  return { stage, rules, violations, operation, fields: new Set() };
}

function chosen({ definitions }, name) {
  const operations = definitions.filter(({ kind }) => kind === 'OperationDefinition');
  if (name === null) return operations.length === 1 ? operations[0] : undefined;
  return operations.find((operation) => operation.name?.value === name);
}

async function firstEvent(request) {
  const stream = await subscribe(request);
  if (stream.errors) return { errors: stream.errors };
  const { value } = await stream.next();
  return value;
}

/**
 * Returns the paths of violations with our rule for `@oneOf` objects instead of graphql-js's: an object that has not exactly
 * one field, or whose only field is null, is told itself, with its unknown fields but without what else is wrong in it.
 */
function withOneOfRule(type, value, paths) {
  return oneOfsOf(type, value).reduce((kept, { path, object, fields }) => {
    const keys = Object.keys(object);
    const isUnknown = (inner) => inner.length === path.length + 1 && !(inner.at(-1) in fields);
    const isBelow = (inner) => path.every((segment, index) => inner[index] === segment);
    const hasOne = keys.length === 1 && object[keys[0]] !== null;

    const rest = kept.filter((inner) => !isBelow(inner) || isUnknown(inner) || (hasOne && inner.length > path.length));
    return hasOne ? rest : [...rest, path];
  }, paths);
}

/** Returns the `@oneOf` objects within a value as `{path, object, fields}`. */
function oneOfsOf(type, value, path = []) {
  const named = getNullableType(type);
  if (value === null || typeof value !== 'object') return [];
  if (isListType(named)) {
    if (!Array.isArray(value)) return oneOfsOf(named.ofType, value, path);
    return value.flatMap((item, index) => oneOfsOf(named.ofType, item, [...path, index]));
  }
  if (!isInputObjectType(named) || Array.isArray(value)) return [];

  const fields = named.getFields();
  if (named.isOneOf) return [{ path, object: value, fields }];
  return Object.values(fields).flatMap((field) => oneOfsOf(field.type, value[field.name], [...path, field.name]));
}

/** Returns the names of the variables that conditions use. */
function conditionsOf(document) {
  const names = new Set();
  visit(document, {
    Directive: ({ arguments: [condition] }) => {
      if (condition?.value.kind === 'Variable') names.add(condition.value.name.value);
    },
  });
  return names;
}

/** Returns the field that an error is about, which graphql-js tells in its message only. */
function fieldOf({ message }) {
  const match = /include (?:required|unknown) field "([^"]*)"/.exec(message);
  return match ? [match[1]] : [];
}

async function behave(behaviour, key, args, type, answer) {
  const keys = [key, ...IDS.map((name) => args[name]), args.input?.id];
  const effect = keys.map((name) => (name == null ? undefined : behaviour[name])).find((entry) => entry !== undefined);

  if (effect === 'fail' || (effect === 'null' && isNonNullType(type))) throw new GraphQLError('the root failed');
  if (effect === 'null') return null;
  // Two turns of the event loop: every other root field has answered by then.
  if (effect === 'slow') for (let turn = 0; turn < 2; turn += 1) await new Promise(setImmediate);
  return answer();
}
