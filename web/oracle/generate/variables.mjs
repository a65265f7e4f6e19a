// Wrong values of variables, by the type that the operation declares.

import { getNullableType, isEnumType, isInputObjectType, isListType, isNonNullType } from 'graphql17';
import { RawNumber } from '../json.mjs';

/** JSON values that no value of the type has. ID has none for numbers with a fraction of zero, which JavaScript cannot tell. */
const WRONG = {
  Int: ['1', 1.5, 2_147_483_648, -2_147_483_649, true, {}, new RawNumber('1e10'), { a: 1 }],
  Float: ['1', true, {}, 'NaN'],
  Boolean: [0, 1, 'true', {}],
  String: [1, true, {}, new RawNumber('1.0')],
  ID: [1.5, true, {}],
  Currency: [1, true, {}, { code: 'GBP' }],
  Position: [1, false, {}],
  DateTime: [
    1, 'yesterday', '2026-02-30T00:00:00Z', '2026-01-01', '2026-01-01T24:00:00Z', '2026-01-01T00:00:60Z', '', true, {},
    '2026-01-01T00:00:00z ',
  ],
  MinorUnits: [0.5, '1', true, {}, new RawNumber('1e-1'), new RawNumber('129900.01')],
};

/** Returns a value with at least one fault, or undefined to leave it out where it must be given. */
export function wrongValue(type, value, random) {
  if (isNonNullType(type)) {
    if (random.chance(0.25)) return random.pick([null, undefined]);
    return wrongValue(type.ofType, value, random);
  }

  const named = getNullableType(type);
  if (isListType(named)) return wrongList(named, value, random);
  if (isInputObjectType(named)) return wrongObject(named, value, random);
  if (isEnumType(named)) return random.pick(['NO_SUCH_VALUE', 'available', '', 0, true, {}]);
  return random.pick(WRONG[named.name]);
}

function wrongList(type, value, random) {
  const items = Array.isArray(value) ? value : [];
  // A single wrong value is a list of one wrong value, whose path has no index.
  if (random.chance(0.2)) return wrongValue(type.ofType, undefined, random) ?? 1.5;
  const wrong = wrongValue(type.ofType, items[0], random) ?? [1.5];
  return [...items, wrong, ...(random.chance(0.3) ? [wrong] : [])];
}

function wrongObject(type, value, random) {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || random.chance(0.1)) {
    return random.pick(['text', 1, [], true, [[]]]);
  }
  const copy = { ...value };
  const fields = Object.values(type.getFields());
  if (type.isOneOf && random.chance(0.6)) return random.pick(oneOfs(fields.map(({ name }) => name)));

  for (let count = random.pick([1, 1, 2, 3]); count > 0; count -= 1) {
    const field = random.pick(fields);
    if (random.chance(0.25)) copy[random.pick(['unknown', 'discuont', 'Name', 'toString'])] = random.pick([1, null, {}]);
    else copy[field.name] = wrongValue(field.type, copy[field.name], random);
  }
  return copy;
}

function oneOfs([first, second]) {
  return [
    {}, { [first]: null }, { [second]: null }, { [first]: 1, [second]: 2 }, { [first]: null, [second]: 2 }, { other: 1 },
    { [first]: 1, other: 2 },
  ];
}
