// Values of input types: as JSON for variables, and as nodes for literals. Both are valid unless a function says otherwise.

import { isEnumType, isInputObjectType, isListType, isNonNullType, isRequiredInputField, Kind } from 'graphql17';
import { RawNumber } from '../json.mjs';

const TEXTS = [
  'a', '', 'two words', 'quote " and \\ backslash', 'line\nbreak', 'tab\t', '😀', 'é ß 日本', '\u2028', '""" block', '# no comment',
  '{ } [ ] $ @', '\u0007', ' indented\n  more\n', 'null', 'true', '1',
];
const CURRENCIES = ['GBP', 'EUR', 'gbp', 'no currency', ''];
const TIMES = [
  '2026-01-31T12:00:00Z', '2026-01-31t12:00:00z', '2026-01-31T12:00:00.123456789+05:30', '2024-02-29 23:59:59-00:00',
  '2016-12-31T23:59:60Z', '2017-01-01T05:29:60+05:30', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59.9Z', '2026-06-30_12:00:00.1+23:59',
];
const INTEGERS = [0, 1, 2, 5, 20, 25, -1];
/** Prices as JSON numbers, and as int and float literals, which keep their notation. */
const PRICES = ['0', '1', '100', '129900', '129900.0', '1e3', '1.5E1', '9007199254740991', '-5', '-0.0', '2.50e2'];
const PERCENTAGES = ['0', '12.5', '100', '33.33', '1e1', '0.07', '1.50', '5E-1', '-3', '2'];

/** Makes values at random. Ids are mostly those of a world. */
export class Values {
  constructor(random, world) {
    this.random = random;
    const objects = [...world.deals, ...world.webhooks, ...world.deliveries];
    this.ids = objects.map(({ id }) => id);
    this.positions = world.positions;
  }

  /** Returns a valid JSON value of a type; never undefined. */
  json(type) {
    if (isNonNullType(type)) return this.json(type.ofType) ?? this.json(type);
    if (this.random.chance(0.07)) return null;
    if (isListType(type)) return this.#jsonList(type);
    if (isInputObjectType(type)) return this.#jsonObject(type);
    return this.#leaf(type, (text) => new RawNumber(text));
  }

  #jsonList(type) {
    // A single value stands for a list of one (specification, section 3.12). null stands for no list.
    const item = () => this.json(type.ofType);
    if (this.random.chance(0.15)) return item() ?? [];
    return Array.from({ length: this.random.integer(0, 3) }, item);
  }

  #jsonObject(type) {
    const entries = this.fields(type).map((field) => [field.name, this.json(field.type)]);
    if (!type.isOneOf) return Object.fromEntries(entries);
    const [[name, value]] = entries;
    return { [name]: value ?? 5 };
  }

  /** Returns the fields that a random object of an input type has. */
  fields(type) {
    const all = Object.values(type.getFields());
    if (type.isOneOf) return [this.random.pick(all)];
    return this.random.shuffled(all.filter((field) => isRequiredInputField(field) || this.random.chance(0.75)));
  }

  /** Returns the node of a constant. */
  literal(type) {
    if (isNonNullType(type)) {
      let node;
      do node = this.literal(type.ofType); while (node.kind === Kind.NULL);
      return node;
    }
    if (this.random.chance(0.07)) return { kind: Kind.NULL };
    if (isListType(type)) return this.#literalList(type);
    if (isInputObjectType(type)) return this.#literalObject(type);
    return this.leafNode(type);
  }

  #literalList(type) {
    if (this.random.chance(0.15)) return this.literal(type.ofType);
    const values = Array.from({ length: this.random.integer(0, 3) }, () => this.literal(type.ofType));
    return { kind: Kind.LIST, values };
  }

  #literalObject(type) {
    const fields = this.fields(type).map((field) => {
      let value;
      do value = this.literal(field.type); while (type.isOneOf && value.kind === Kind.NULL);
      return { kind: Kind.OBJECT_FIELD, name: name(field.name), value };
    });
    return { kind: Kind.OBJECT, fields };
  }

  /** Returns the node of a scalar or an enum value. */
  leafNode(type) {
    if (isEnumType(type)) return { kind: Kind.ENUM, value: this.#leaf(type) };
    if (type.name === 'Boolean') return { kind: Kind.BOOLEAN, value: this.#leaf(type) };

    const value = this.#leaf(type, (text) => new RawNumber(text));
    if (typeof value === 'string') return { kind: Kind.STRING, value };
    const text = value instanceof RawNumber ? value.text : String(value);
    return { kind: /[.eE]/.test(text) ? Kind.FLOAT : Kind.INT, value: text };
  }

  #leaf(type, number) {
    const { random } = this;
    if (isEnumType(type)) return random.pick(type.getValues()).name;

    switch (type.name) {
      case 'Int': return random.pick(INTEGERS);
      case 'Float': return number(random.pick(PERCENTAGES));
      case 'MinorUnits': return number(random.pick(PRICES));
      case 'Boolean': return random.chance(0.5);
      case 'ID': return this.id();
      case 'Currency': return random.pick(CURRENCIES);
      case 'DateTime': return random.pick(TIMES);
      case 'Position': return random.chance(0.5) ? random.pick(this.positions) : random.pick(TEXTS);
      default: return random.pick(TEXTS);
    }
  }

  id() {
    const { random } = this;
    if (random.chance(0.1)) return random.integer(-5, 1_000_000);
    return random.chance(0.1) ? random.pick(['', 'no id', random.uuid()]) : random.pick(this.ids);
  }
}

/** Returns the node of a name. */
export function name(value) {
  return { kind: Kind.NAME, value };
}

/** Returns the node of a use of a variable. */
export function variable(value) {
  return { kind: Kind.VARIABLE, name: name(value) };
}

/** Returns the node of a type. */
export function typeNode(type) {
  if (isNonNullType(type)) return { kind: Kind.NON_NULL_TYPE, type: typeNode(type.ofType) };
  if (isListType(type)) return { kind: Kind.LIST_TYPE, type: typeNode(type.ofType) };
  return { kind: Kind.NAMED_TYPE, name: name(type.name) };
}
