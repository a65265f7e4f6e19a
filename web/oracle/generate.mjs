// Requests of a seed. The number of a request decides its stratum, its root field and its fault, so that everything is
// reached equally often, and everything else follows from the seed.

import { parse, print, typeFromAST } from 'graphql17';
import { editTokens } from './generate/tokens.mjs';
import { FAULTS } from './generate/faults.mjs';
import { isWithinLimits } from './generate/limits.mjs';
import { layout } from './generate/layout.mjs';
import { sitesOf } from './generate/sites.mjs';
import { OperationBuilder, rootsOf } from './generate/valid.mjs';
import { Values } from './generate/values.mjs';
import { wrongValue } from './generate/variables.mjs';
import { Random, seedOf } from './random.mjs';

/** Strata, each as often as its share of 20 requests. */
const STRATA = [['valid', 10], ['fault', 6], ['tokens', 2], ['variables', 2]].flatMap(([name, share]) => Array(share).fill(name));

/** Most attempts to find a document with a place for a fault. */
const ATTEMPTS = 60;

export class Generator {
  #schema;
  #world;
  #roots;
  #rules = Object.keys(FAULTS);

  constructor(schema, world) {
    this.#schema = schema;
    this.#world = world;
    this.#roots = rootsOf(schema);
  }

  /** Returns the request with this number in the run of a seed: `{query, operationName, variables, behaviour, stratum}`. */
  request(seed, number) {
    const stratum = STRATA[number % STRATA.length];
    // The last valid one of a round is the one before it with other variables: plans are kept and used again.
    if (stratum === 'valid' && STRATA[(number + 1) % STRATA.length] !== 'valid') {
      const { again, ...request } = this.request(seed, number - 1);
      return { ...request, variables: again };
    }

    const random = new Random(seedOf(seed, number));
    // The valid ones fill half of every round; counted without the other half, they take the root fields in turn.
    const turn = number - Math.floor(number / STRATA.length) * (STRATA.length / 2);
    const root = this.#roots[turn % this.#roots.length];

    switch (stratum) {
      case 'fault': return { ...this.#faulty(random, this.#rules[number % this.#rules.length]), stratum };
      case 'tokens': {
        // Without introspection, whose comparison depends on what is selected of it.
        const request = this.#valid(random, root.field ? root : this.#roots[0], { introspects: false });
        return { ...request, query: editTokens(request.query, random), stratum };
      }
      case 'variables': return { ...this.#wrongVariables(random, root), stratum };
      default: return { ...this.#valid(random, root), stratum };
    }
  }

  #valid(random, root, options) {
    const built = this.#build(random, root, options);
    const { document, request } = withOtherOperation(built, random);
    const behaviour = root.operation === 'subscription' ? {} : this.#behaviour(random, built);
    return { query: layout(document, random), ...request, again: built.again, behaviour };
  }

  #build(random, root, options = {}) {
    let built;
    do built = new OperationBuilder({ schema: this.#schema, world: this.#world, random, ...options }).build(root);
    while (!isWithinLimits(built.definitions));
    return built;
  }

  /** Returns effects for some root fields and for some ids. */
  #behaviour(random, { keys }) {
    if (random.chance(0.6)) return {};
    const { ids } = new Values(random, this.#world);
    const names = [...keys, ...random.shuffled(ids).slice(0, 12)].filter(() => random.chance(0.4));
    return Object.fromEntries(names.map((name) => [name, random.pick(['fail', 'null', 'slow', 'slow'])]));
  }

  #faulty(random, rule) {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const built = this.#build(random, this.#rootFor(rule, random));
      // Parsed anew, because nodes are shared between the places of a field that is repeated.
      const document = parse(print(documentOf(built)), { noLocation: true });
      const sites = sitesOf(this.#schema, document);
      const values = new Values(random, this.#world);
      if (FAULTS[rule]({ document, sites, random, schema: this.#schema, values })) {
        const operationName = this.#beside(document, built, rule, random);
        return { query: layout(document, random), operationName, variables: built.variables, rule };
      }
    }
    throw new Error(`no document has a place for a fault of ${rule}`);
  }

  /** Adds a valid operation now and then, which is executed then: the rules hold for the whole document. */
  #beside({ definitions }, built, rule, random) {
    // The depth of introspection is no rule of the specification but a limit, which only what is executed must keep.
    if (!built.name || rule === 'MaxIntrospectionDepthRule' || !random.chance(0.1)) return built.name;
    definitions.splice(random.integer(0, definitions.length), 0, otherOperation());
    return 'Other';
  }

  #rootFor(rule, random) {
    const wanted = { SingleFieldSubscriptionsRule: 'subscription', MaxIntrospectionDepthRule: 'query' }[rule];
    const roots = this.#roots.filter(({ operation, field }) => field && (wanted ?? operation) === operation);
    return random.pick(roots);
  }

  #wrongVariables(random, root) {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const withArguments = root.field?.args.length > 0 ? root : random.pick(this.#roots);
      const built = this.#build(random, withArguments, { variables: 0.85 });
      const operation = built.definitions.find(({ kind }) => kind === 'OperationDefinition');
      if (operation.variableDefinitions.length === 0) continue;

      const variables = { ...built.variables };
      const definitions = random.shuffled(operation.variableDefinitions).slice(0, random.pick([1, 1, 2, 3]));
      for (const { variable, type } of definitions) {
        const { value } = variable.name;
        variables[value] = wrongValue(typeFromAST(this.#schema, type), variables[value], random);
      }
      const known = Object.entries(variables).filter(([, value]) => value !== undefined);
      return { query: layout(documentOf(built), random), operationName: built.name, variables: Object.fromEntries(known) };
    }
    throw new Error('no document has variables');
  }
}

function documentOf({ definitions }) {
  return { kind: 'Document', definitions };
}

function otherOperation() {
  return parse('query Other($id: ID! = 1) { deal(id: $id) { id } }', { noLocation: true }).definitions[0];
}

/** Adds a second operation now and then, and names an operation that is there or is not. */
function withOtherOperation(built, random) {
  const request = { operationName: random.chance(0.5) ? built.name : null, variables: built.variables };
  if (Object.keys(built.variables).length === 0 && random.chance(0.5)) delete request.variables;
  if (Object.keys(built.variables).length > 0 && random.chance(0.05)) request.variables = { ...built.variables, notDeclared: [1] };
  if (!built.name || !random.chance(0.12)) return { document: documentOf(built), request };

  const definitions = random.shuffled([...built.definitions, otherOperation()]);
  request.operationName = random.pick([built.name, built.name, built.name, 'Missing', null]);
  return { document: documentOf({ definitions }), request };
}
