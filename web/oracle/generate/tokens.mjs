// Edits of a text: tokens and characters are removed, doubled, moved and replaced. The result may be valid or not.

import { tokensOf } from './layout.mjs';

const TOKENS = [
  '{', '}', '(', ')', '[', ']', ':', '=', '!', '$', '@', '...', '|', '&', 'on', 'query', 'fragment', 'true', 'null', '"',
  '""', '"""', '1', '-1', '1.0', '01', '1.', '.5', '1e', '0x1', '-', 'a', '_', '\\', '"\\u{110000}"', '"\\uD800"',
  '"\\uD83D\\uDE00"', '"\\u{D83D}"', '"\\x"', '# ', '"a\nb"', '"""a""" "b"', '1a', '1_', '?', '..', 'é', '\u00a0',
  '\uFEFF', '\u0000', '\u0007', '😀', '"😀"', '<', ';', '%', '{}', '()', '[]', 'repeatable', 'extend', 'type',
  'subscription', '$$', '$ a', '@ skip(if: true)', '""""""', '"""\\u0041\\"""""" ', '"\\/"', "'a'", '0.0e+1', '-0',
];

/** Returns the text with one to three edits. */
export function editTokens(text, random) {
  let pieces = tokensOf(text).map((token) => token.text);
  for (let count = random.pick([1, 1, 1, 2, 3]); count > 0 && pieces.length > 1; count -= 1) pieces = edited(pieces, random);
  const joined = pieces.join(' ');
  return random.chance(0.2) ? editCharacter(joined, random) : joined;
}

function edited(pieces, random) {
  const copy = [...pieces];
  const at = random.integer(0, copy.length - 1);
  const other = random.integer(0, copy.length - 1);

  switch (random.integer(0, 5)) {
    case 0: copy.splice(at, 1); break;
    case 1: copy.splice(at, 0, copy[at]); break;
    case 2: [copy[at], copy[other]] = [copy[other], copy[at]]; break;
    case 3: copy.splice(at, 0, random.pick(TOKENS)); break;
    case 4: copy[at] = random.pick(TOKENS); break;
    default: copy[at] = copy[other];
  }
  return copy;
}

function editCharacter(text, random) {
  const characters = [...text];
  const at = random.integer(0, characters.length - 1);
  if (random.chance(0.5)) characters.splice(at, 1);
  else characters.splice(at, 0, random.pick(['"', '\\', '{', '.', '-', '0', '\n', '\r', ',', '#', '!', 'e', '\u0000', '}', '&']));
  return characters.join('');
}
