// Texts of documents: other white space, comments and commas, and other notations of strings, with the same meaning.

import { Lexer, print, Source, TokenKind } from 'graphql17';

const GAPS = [' ', '\n', '\t', ',', '\r\n', '\r', ' , ', ' # comment " { \n', '\n#\n', '  ', '\uFEFF'];

/** Returns a text of a document. */
export function layout(document, random) {
  const text = described(print(document), random);
  if (random.chance(0.5)) return text;

  // Equal strings keep equal notations: graphql-js compares the arguments of fields that merge by their notation.
  const notations = new Map();
  const notation = (value) => notations.get(value) ?? notations.set(value, stringText(value, random)).get(value);
  const pieces = tokensOf(text).map(({ kind, value, text: own }) => (isString(kind) ? notation(value) : own));
  let result = random.chance(0.1) ? '\uFEFF' : '';
  pieces.forEach((piece, index) => {
    const touches = index > 0 && !isPunctuator(piece) && !isPunctuator(pieces[index - 1]);
    result += (touches || random.chance(0.5) ? random.pick(GAPS) : '') + piece;
  });
  return result;
}

/** Returns the tokens of a text that has no syntax error, each with its kind, value and text. */
export function tokensOf(text) {
  const lexer = new Lexer(new Source(text));
  const tokens = [];
  for (let token = lexer.advance(); token.kind !== TokenKind.EOF; token = lexer.advance()) {
    tokens.push({ kind: token.kind, value: token.value, text: text.slice(token.start, token.end) });
  }
  return tokens;
}

function isString(kind) {
  return kind === TokenKind.STRING || kind === TokenKind.BLOCK_STRING;
}

function isPunctuator(text) {
  return /^(?:[!$&(){}:=@[\]|]|\.\.\.)$/.test(text);
}

/** Adds a description to an operation now and then (specification of September 2025, section 2.4). */
function described(text, random) {
  const keyword = /^(?:query|mutation|subscription|fragment)\b/m;
  if (!random.chance(0.04) || !keyword.test(text)) return text;
  return text.replace(keyword, (word) => `${random.pick(['"What it does."', '"""\nWhat it does.\n"""'])}\n${word}`);
}

/** Returns a string in one of its notations: a block string, or escapes of several kinds. */
function stringText(value, random) {
  const block = `"""${value.replaceAll('"""', '\\"""')}"""`;
  if (random.chance(0.3) && means(block, value)) return block;
  if (random.chance(0.3)) return JSON.stringify(value);

  const characters = [...value].map((character) => {
    const code = character.codePointAt(0);
    const plain = JSON.stringify(character).slice(1, -1);
    const fixed = (unit) => `\\u${unit.toString(16).padStart(4, '0')}`;
    const pair = [...Array(character.length).keys()].map((index) => fixed(character.charCodeAt(index))).join('');
    return random.pick([plain, plain, pair, `\\u{${code.toString(16).toUpperCase()}}`, `\\u{00${code.toString(16)}}`]);
  });
  return `"${characters.join('')}"`;
}

function means(text, value) {
  try {
    const tokens = tokensOf(text);
    return tokens.length === 1 && tokens[0].value === value;
  } catch {
    return false;
  }
}
