// Counts of what a run has reached: fields that were resolved, arguments and input fields that were given, rules that
// refused a document.

import { getNamedType, isInputObjectType, isIntrospectionType, isObjectType, specifiedRules, TypeInfo, visit,
  visitWithTypeInfo } from 'graphql17';
import { UNBREAKABLE } from './generate/faults.mjs';

/** Fewest times that everything is reached in a run of 8,000 documents. */
export const FEWEST = 50;

export class Coverage {
  #schema;
  #counts = new Map();
  strata = new Map();

  constructor(schema) {
    this.#schema = schema;
    for (const name of [...fieldsOf(schema), ...rules()]) this.#counts.set(name, 0);
  }

  /** Counts a request with the reference's answer, everything at most once. */
  add({ stratum }, answer) {
    const result = `${stratum} → ${answer.stage ?? 'data'}`;
    this.strata.set(result, (this.strata.get(result) ?? 0) + 1);

    const reached = new Set([...answer.fields, ...(answer.rules ?? [])]);
    for (const { definition, node, arguments: args } of answer.calls ?? []) this.#addCall(reached, definition, node, args);
    if (answer.document) this.#addDocument(reached, answer.document);
    for (const name of reached) if (this.#counts.has(name)) this.#counts.set(name, this.#counts.get(name) + 1);
  }

  /** Returns what was reached fewer than `FEWEST` times, as lines. */
  missing() {
    const rare = [...this.#counts].filter(([, count]) => count < FEWEST);
    return rare.sort(([, a], [, b]) => a - b).map(([name, count]) => `${name} ${count}`);
  }

  /** Returns one line about the number of names and the rarest of them. */
  summary() {
    const [rarest, count] = [...this.#counts].sort(([, a], [, b]) => a - b)[0];
    return `${this.#counts.size} fields, arguments, input fields and rules; the rarest is ${rarest} with ${count}`;
  }

  #addCall(reached, definition, node, args) {
    for (const { name } of node.arguments ?? []) reached.add(`argument ${definition.name}(${name.value}:)`);
    for (const arg of definition.args) addInput(reached, arg.type, args[arg.name]);
  }

  /** Adds the fields of introspections, which have resolvers of their own, and the arguments of directives. */
  #addDocument(reached, document) {
    const info = new TypeInfo(this.#schema);
    visit(document, visitWithTypeInfo(info, {
      Field(node) {
        const parent = info.getParentType();
        if (isIntrospectionType(parent) || node.name.value.startsWith('__')) reached.add(`${parent.name}.${node.name.value}`);
      },
      Argument(node) {
        const owner = info.getDirective()?.name ?? info.getFieldDef()?.name;
        reached.add(`argument ${info.getDirective() ? '@' : ''}${owner}(${node.name.value}:)`);
      },
    }));
  }
}

function addInput(reached, type, value) {
  const named = getNamedType(type);
  if (!isInputObjectType(named) || value == null) return;
  for (const item of [value].flat()) {
    for (const field of item === null ? [] : Object.values(named.getFields())) {
      if (!(field.name in item)) continue;
      reached.add(`${named.name}.${field.name}`);
      addInput(reached, field.type, item[field.name]);
    }
  }
}

/** Returns the names of everything that a document can reach in a schema. */
function fieldsOf(schema) {
  const types = Object.values(schema.getTypeMap());
  const namesOf = (type) => Object.keys(type.getFields()).map((field) => `${type.name}.${field}`);
  const objects = types.filter(isObjectType);
  const outputs = objects.flatMap(namesOf);
  const inputs = types.filter(isInputObjectType).flatMap(namesOf);
  const fields = objects.flatMap((type) => Object.values(type.getFields()));
  const withArguments = fields.flatMap((field) => field.args.map((arg) => `argument ${field.name}(${arg.name}:)`));
  const metas = ['Query.__schema', 'Query.__type', 'Query.__typename', 'argument @skip(if:)', 'argument @include(if:)'];
  const all = [...outputs, ...inputs, ...withArguments, ...metas];
  return all.filter((name) => !PROPOSED.includes(name));
}

/** Names that only graphql-js has: a proposal that the specification of September 2025 does not contain. */
const PROPOSED = ['__Directive.isDeprecated', '__Directive.deprecationReason', 'argument directives(includeDeprecated:)'];

function rules() {
  return specifiedRules.map(({ name }) => name).filter((name) => !(name in UNBREAKABLE));
}
