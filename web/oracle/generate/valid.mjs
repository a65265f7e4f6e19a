// Valid requests: an operation with variables, fragments, aliases, directives, merged fields and literals of all kinds.

import { getNamedType, getNullableType, GraphQLNonNull, isCompositeType, isInputObjectType, isInterfaceType, isListType,
  isNonNullType, isRequiredArgument, Kind, parseType, typeFromAST, visit } from 'graphql17';
import { introspections } from './introspection.mjs';
import { name, typeNode, Values, variable } from './values.mjs';

/** Greatest depth at which a field with a selection set is chosen; deeper ones have only leaves. */
const DEPTH = 5;

/** A field of type ID! of each object type that implements Node. */
const SAME_TYPE = { Deal: 'sellerId', Webhook: 'id', WebhookDelivery: 'webhookId' };

/**
 * Returns all root fields of a schema as `{operation, field}`. An entry without a field is an introspection. Entries that
 * lead to many fields come more than once.
 */
export function rootsOf(schema) {
  const of = (operation, type) => Object.values(type.getFields()).map((field) => ({ operation, field }));
  const subscriptions = of('subscription', schema.getSubscriptionType());
  return [
    ...of('query', schema.getQueryType()),
    ...of('mutation', schema.getMutationType()),
    ...subscriptions,
    ...subscriptions,
    ...Array(6).fill({ operation: 'query', field: undefined }),
  ];
}

/** Builds one operation with the fragments and variables that it uses. */
export class OperationBuilder {
  #names = 0;
  #fragments = [];
  #variables = [];
  values;

  /** `variables` is the probability with which a value is a variable; `introspects` allows introspection beside other fields. */
  constructor({ schema, world, random, variables = 0.35, introspects = true }) {
    this.schema = schema;
    this.random = random;
    this.values = new Values(random, world);
    this.variableShare = variables;
    this.introspects = introspects;
  }

  /**
   * Returns a valid request with this root field: `{definitions, variables, again, keys, name}`. `again` are other values of
   * the variables, and `keys` the response keys of the root fields.
   */
  build({ operation, field }) {
    const { random, schema } = this;
    const type = schema.getRootType(operation);
    const roots = [field ? this.#field(field, 0) : this.#introspection()];

    if (operation !== 'subscription') {
      const others = Object.values(type.getFields());
      for (let count = random.pick([0, 0, 0, 1, 2]); count > 0; count -= 1) roots.push(this.#field(random.pick(others), 0));
      if (operation === 'query' && this.introspects && random.chance(0.06)) roots.push(this.#introspection());
      if (random.chance(0.1)) roots.push(this.#typename());
    }
    const key = ({ alias, name: own }) => (alias ?? own).value;
    const isTaken = (node, index) => roots.findIndex((other) => key(other) === key(node)) < index;
    const unique = roots.map((node, index) => (isTaken(node, index) ? { ...node, alias: this.#alias() } : node));
    const selections = this.#arranged(this.#repeated(unique, type), type, operation === 'subscription');
    const operationName = random.chance(0.6) ? name(random.pick(['Q', 'query', 'on', 'fragment', 'Deal', '_1'])) : undefined;

    const definition = {
      kind: Kind.OPERATION_DEFINITION,
      operation,
      name: operationName,
      variableDefinitions: this.#variables.map(({ definition: node }) => node),
      directives: [],
      selectionSet: { kind: Kind.SELECTION_SET, selections },
    };
    return {
      definitions: random.shuffled([definition, ...this.#fragments]),
      variables: this.#sent('value'),
      again: this.#sent('again'),
      keys: unique.map(key),
      name: operationName?.value,
    };
  }

  #sent(which) {
    const sent = this.#variables.filter((one) => one[which] !== undefined);
    return Object.fromEntries(sent.map((one) => [one.name, one[which]]));
  }

  #introspection() {
    const { random } = this;
    const typed = (text) => typeFromAST(this.schema, parseType(text));
    return visit(introspections(this), {
      Argument: (node) => {
        if (!random.chance(0.2)) return undefined;
        const isName = node.name.value === 'name';
        return { ...node, value: variable(this.#variable(typed(isName ? 'String!' : 'Boolean!'), !isName, true)) };
      },
    });
  }

  #typename() {
    return { kind: Kind.FIELD, name: name('__typename'), alias: this.random.chance(0.3) ? this.#alias() : undefined, directives: [] };
  }

  #alias() {
    this.#names += 1;
    return name(`${this.random.pick(['a', 'x_', 'type', 'null', 'A'])}${this.#names}`);
  }

  /** Returns the node of a field with random arguments and selections. */
  #field(field, depth) {
    const { random } = this;
    const type = getNamedType(field.type);
    return {
      kind: Kind.FIELD,
      name: name(field.name),
      alias: random.chance(0.2) ? this.#alias() : undefined,
      arguments: this.#arguments(field),
      directives: [],
      selectionSet: isCompositeType(type) ? this.#selectionSet(type, depth + 1) : undefined,
    };
  }

  #arguments(field) {
    const given = field.args.filter((arg) => isRequiredArgument(arg) || this.random.chance(0.75));
    return this.random.shuffled(given).map((arg) => ({
      kind: Kind.ARGUMENT,
      name: name(arg.name),
      value: this.#value(arg.type, arg.default !== undefined),
    }));
  }

  #selectionSet(type, depth, excluded = new Set()) {
    const { random } = this;
    const all = Object.values(type.getFields()).filter((field) => !excluded.has(field.name));
    const allowed = all.filter((field) => depth < DEPTH || !isCompositeType(getNamedType(field.type)));
    const share = allowed.length <= 4 ? 0.9 : random.pick([0.5, 0.7, 0.95]);
    const chosen = random.shuffled(allowed.filter(() => random.chance(share)));
    if (chosen.length === 0) chosen.push(random.pick(allowed));

    const selections = chosen.map((field) => this.#field(field, depth));
    if (random.chance(0.12)) selections.push(this.#typename());
    if (isInterfaceType(type)) selections.push(...this.#ofObjects(type, depth));
    return { kind: Kind.SELECTION_SET, selections: this.#arranged(this.#repeated(selections, type, depth), type) };
  }

  /**
   * Returns inline fragments for the object types of an interface. The types exclude each other, so different fields of one
   * type may share an alias. `state` is left out, because its type is not the same everywhere.
   */
  #ofObjects(type, depth) {
    const { random } = this;
    const shared = this.#alias();
    return this.schema.getPossibleTypes(type).filter(() => random.chance(0.6)).map((object) => {
      const { selections } = this.#selectionSet(object, depth, new Set(['state']));
      const own = SAME_TYPE[object.name];
      if (random.chance(0.4)) selections.push({ kind: Kind.FIELD, name: name(own), alias: shared, directives: [] });
      return fragment(object.name, selections);
    });
  }

  /** Repeats some fields, with the same arguments and other selections: execution merges them. */
  #repeated(selections, type, depth = 0) {
    const { random } = this;
    const fields = type.getFields();
    return selections.flatMap((node) => {
      const field = fields[node.name?.value];
      if (node.kind !== Kind.FIELD || !field || !random.chance(0.12)) return [node];
      const composite = getNamedType(field.type);
      const selectionSet = isCompositeType(composite) ? this.#selectionSet(composite, depth + 1) : undefined;
      return [node, { ...node, directives: [], selectionSet }];
    });
  }

  /** Moves some selections into fragments and gives some of them directives. */
  #arranged(selections, type, noDirectives) {
    const { random } = this;
    const direct = (node) => (noDirectives ? node : { ...node, directives: this.#directives() });
    const arranged = [];
    for (let rest = random.shuffled(selections); rest.length > 0;) {
      const size = random.integer(1, 2);
      const taken = rest.slice(0, size).map(direct);
      rest = rest.slice(size);
      arranged.push(...(random.chance(0.25) ? [direct(this.#fragment(type, taken))] : taken));
    }
    return arranged;
  }

  #fragment(type, selections) {
    const { random } = this;
    if (random.chance(0.5)) return fragment(random.chance(0.4) ? undefined : type.name, selections);

    this.#names += 1;
    const fragmentName = `${random.pick(['F', 'query', 'type'])}${this.#names}`;
    const isNode = type.name !== 'Node' && type.getInterfaces?.().length > 0 && selections.every(isOfNode);
    this.#fragments.push({
      kind: Kind.FRAGMENT_DEFINITION,
      name: name(fragmentName),
      typeCondition: { kind: Kind.NAMED_TYPE, name: name(isNode ? 'Node' : type.name) },
      directives: [],
      selectionSet: { kind: Kind.SELECTION_SET, selections },
    });
    return { kind: Kind.FRAGMENT_SPREAD, name: name(fragmentName), directives: [] };
  }

  #directives() {
    const { random, schema } = this;
    if (!random.chance(0.1)) return [];
    return random.pick([['skip'], ['include'], ['include', 'skip']]).map((directive) => {
      const [condition] = schema.getDirective(directive).args;
      const value = this.#value(condition.type, false);
      return { kind: Kind.DIRECTIVE, name: name(directive), arguments: [{ kind: Kind.ARGUMENT, name: name('if'), value }] };
    });
  }

  /** Returns the node of a value: a variable, or a literal that may hold variables. */
  #value(type, hasDefault, mayBeNull = true) {
    const { random, values } = this;
    if (random.chance(this.variableShare)) return variable(this.#variable(type, hasDefault, mayBeNull));

    const inner = getNullableType(type);
    if (isListType(inner) && random.chance(0.4)) {
      const item = () => this.#value(inner.ofType, false);
      return { kind: Kind.LIST, values: Array.from({ length: random.integer(0, 3) }, item) };
    }
    if (!isInputObjectType(inner) || random.chance(0.1)) {
      let literal;
      do literal = values.literal(type); while (!mayBeNull && literal.kind === Kind.NULL);
      return literal;
    }
    const fields = values.fields(inner).map((field) => ({
      kind: Kind.OBJECT_FIELD,
      name: name(field.name),
      value: this.#value(field.type, field.default !== undefined, !inner.isOneOf),
    }));
    return { kind: Kind.OBJECT, fields };
  }

  /** Returns the name of a variable that may be used for a type, a new one or one that is already defined. */
  #variable(type, hasDefault, mayBeNull) {
    const { random } = this;
    const known = this.#variables.filter((one) => String(one.type) === String(type) && (mayBeNull || isNonNullType(type)));
    if (known.length > 0 && random.chance(0.4)) return random.pick(known).name;

    this.#names += 1;
    const own = `${random.pick(['v', 'input', 'on', 'true', '_'])}${this.#names}`;
    const declared = this.#declared(type, hasDefault, mayBeNull);
    this.#variables.push({ name: own, type: declared.type, ...this.#given(own, declared) });
    return own;
  }

  /** Returns the type of a variable for a position, and whether it must have a default. */
  #declared(type, hasDefault, mayBeNull) {
    const { random } = this;
    if (!mayBeNull) return { type: isNonNullType(type) ? type : new GraphQLNonNull(type) };
    if (!isNonNullType(type)) return { type: random.chance(0.15) ? new GraphQLNonNull(type) : type };
    if (hasDefault && random.chance(0.6)) return { type: type.ofType, mustNotBeNull: true };
    return random.chance(0.3) ? { type: type.ofType, mustHaveDefault: true, mustNotBeNull: true } : { type };
  }

  /** Returns the definition of a variable and the value that is sent, or undefined if none is. */
  #given(own, { type, mustHaveDefault = false, mustNotBeNull = false }) {
    const { random, values } = this;
    const inner = mustNotBeNull ? new GraphQLNonNull(type) : type;
    const hasDefault = mustHaveDefault || random.chance(0.25);
    const definition = {
      kind: Kind.VARIABLE_DEFINITION,
      variable: variable(own),
      type: typeNode(type),
      defaultValue: hasDefault ? values.literal(inner) : undefined,
      directives: [],
    };

    const mayBeAbsent = hasDefault || !isNonNullType(type);
    // null for a non-null position is an error of the field (specification, section 6.4.1); it is rare, because it hides others.
    const value = () => (
      mayBeAbsent && random.chance(0.35) ? undefined : values.json(random.chance(0.1) ? type : inner)
    );
    return { definition, value: value(), again: value() };
  }
}

function fragment(typeName, selections) {
  return {
    kind: Kind.INLINE_FRAGMENT,
    typeCondition: typeName ? { kind: Kind.NAMED_TYPE, name: name(typeName) } : undefined,
    directives: [],
    selectionSet: { kind: Kind.SELECTION_SET, selections },
  };
}

function isOfNode(node) {
  return node.kind === Kind.FIELD && ['id', '__typename'].includes(node.name.value);
}
