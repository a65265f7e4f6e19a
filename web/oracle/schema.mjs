// The schema of schema.graphql in graphql-js 17, with the parse rules of our scalars (gateway/src/graphql/scalars.rs).

import { readFileSync } from 'node:fs';
import { buildSchema, GraphQLError, Kind } from 'graphql17';

export const SDL = readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8');

/** Returns a new schema whose scalars have our parse rules. */
export function makeSchema() {
  const schema = buildSchema(SDL);
  scalar(schema, 'Currency', isText, textLiteral);
  scalar(schema, 'Position', isText, textLiteral);
  scalar(schema, 'DateTime', isTime, textLiteral);
  scalar(schema, 'MinorUnits', Number.isInteger, numberLiteral);
  return schema;
}

function scalar(schema, name, accepts, fromLiteral) {
  const type = schema.getType(name);
  const check = (value) => {
    if (accepts(value)) return value;
    throw new GraphQLError(`${name} cannot represent this value`);
  };

  type.coerceInputValue = check;
  type.coerceInputLiteral = (node) => check(fromLiteral(node));
  type.coerceOutputValue = (value) => value;
}

function textLiteral(node) {
  return node.kind === Kind.STRING ? node.value : undefined;
}

function numberLiteral(node) {
  return node.kind === Kind.INT || node.kind === Kind.FLOAT ? Number(node.value) : undefined;
}

function isText(value) {
  return typeof value === 'string';
}

const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[\0-\x7f](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * Returns whether a value is a time in RFC 3339 as the crate `time` reads it: any ASCII character between date and time, and
 * a leap second only in the last minute of a month in UTC.
 */
function isTime(value) {
  const match = isText(value) ? RFC_3339.exec(value) : null;
  if (!match) return false;

  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const [offsetHour, offsetMinute] = match.slice(8, 10).map((digits) => Number(digits ?? 0));
  const dayExists = month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month);
  if (!dayExists || hour > 23 || minute > 59 || second > 60 || offsetHour > 23 || offsetMinute > 59) return false;
  if (second < 60) return true;

  const offset = (match[7] === '-' ? -1 : 1) * (offsetHour * 60 + offsetMinute);
  const next = new Date(0);
  next.setUTCFullYear(year, month - 1, day);
  next.setUTCHours(hour, minute + 1 - offset);
  return next.getUTCDate() === 1 && next.getUTCHours() === 0 && next.getUTCMinutes() === 0;
}

function daysOf(year, month) {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return month === 2 ? 28 + Number(leap) : 30 + Number([1, 3, 5, 7, 8, 10, 12].includes(month));
}
