// JSON texts compared by their bytes: the order of keys, repeated keys and the escapes of strings count; white space and
// the notation of numbers do not.

const TOKEN = /[ \t\n\r]*(?:([{}[\],:])|("(?:[^"\\\u0000-\u001f]|\\.)*")|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null))/y;

/**
 * Parses a text into nodes: `{entries: [[key, node], …]}` for an object, `{items: [node, …]}` for a list, and
 * `{text}` for a leaf. Keys and strings stay as they are written, with their quotes.
 */
export function parseJson(text) {
  const tokens = tokenize(text);
  let next = 0;

  function value() {
    const token = tokens[next++];
    if (token === '{') return { entries: sequence('}', () => [tokens[next++], (expect(':'), value())]) };
    if (token === '[') return { items: sequence(']', value) };
    return { text: token };
  }

  function sequence(end, element) {
    const elements = [];
    while (tokens[next] !== end) {
      if (elements.length > 0) expect(',');
      elements.push(element());
    }
    next += 1;
    return elements;
  }

  function expect(token) {
    if (tokens[next++] !== token) throw new SyntaxError(`expected ${token} in ${text.slice(0, 200)}`);
  }

  const root = value();
  if (next !== tokens.length) throw new SyntaxError(`text after the value: ${text.slice(0, 200)}`);
  return root;
}

/** Returns the text of a node without white space. */
export function printJson(node) {
  if (node.entries) return `{${node.entries.map(([key, value]) => `${key}:${printJson(value)}`).join(',')}}`;
  if (node.items) return `[${node.items.map(printJson).join(',')}]`;
  return node.text;
}

/** Returns the node with the elements of all lists within it in the order of their texts, without those to leave out. */
export function withoutOrder(node, leaveOut) {
  if (node.entries) return { entries: node.entries.map(([key, value]) => [key, withoutOrder(value, leaveOut)]) };
  if (!node.items) return node;

  const kept = node.items.filter((item) => !leaveOut(item));
  const texts = kept.map((item) => printJson(withoutOrder(item, leaveOut)));
  return { items: texts.sort().map((text) => ({ text })) };
}

/** Returns the node of an object's field, or undefined. */
export function field(node, name) {
  return node.entries?.find(([key]) => key === JSON.stringify(name))?.[1];
}

/** Returns a value's JSON with the keys of all objects sorted, so that equal values have equal texts. */
export function canonical(value) {
  return JSON.stringify(value, (_key, inner) => {
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** A number that is written in JSON exactly as this text, such as 2.0, which JSON.stringify would write as 2. */
export class RawNumber {
  constructor(text) {
    this.text = text;
  }
}

/** Returns the JSON of a value that may hold raw numbers. */
export function stringify(value) {
  if (value instanceof RawNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(stringify).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);

  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${stringify(inner)}`).join(',')}}`;
}

function tokenize(text) {
  const tokens = [];
  TOKEN.lastIndex = 0;
  const { length } = text.trimEnd();
  while (TOKEN.lastIndex < length) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) throw new SyntaxError(`no JSON at ${from}: ${text.slice(from, from + 100)}`);
    const [, mark, string, number, word] = match;
    tokens.push(mark ?? string ?? word ?? normalNumber(number));
  }
  return tokens;
}

/** Returns one notation for each number. Negative zero is zero. */
function normalNumber(text) {
  return String(Number(text) + 0);
}
