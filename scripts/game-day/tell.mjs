// What the game day prints: the page of a runbook.

const WIDTH = 110;

export function heading(text) {
  console.log(`\n\n${text}\n${'='.repeat(text.length)}`);
}

/** Prints prose in lines of at most 110 characters; line ends in the text are kept. */
export function paragraph(text) {
  console.log('');
  for (const line of text.split('\n')) console.log(wrapped(line));
}

export const note = paragraph;

/** Prints what an operator sees, under what it was seen on. */
export function seen(where, text) {
  console.log(`\n  ${where}:`);
  for (const line of text.trimEnd().split('\n')) console.log(`    ${line}`);
}

/** Prints a command as it is typed. */
export function typed(command) {
  console.log(`\n  $ ${command}`);
}

/** Prints the beginning and the end of what a command has said. */
export function answered(text) {
  const lines = text.trimEnd().split('\n').filter((line) => line !== '');
  const shown = lines.length > 14 ? [...lines.slice(0, 10), `… ${lines.length - 12} lines …`, ...lines.slice(-2)] : lines;
  for (const line of shown) console.log(`    ${line}`);
}

function wrapped(line) {
  const lines = [''];
  for (const word of line.split(' ')) {
    const last = lines.length - 1;
    const longer = lines[last] === '' ? word : `${lines[last]} ${word}`;
    if (longer.length <= WIDTH || lines[last] === '') lines[last] = longer;
    else lines.push(word);
  }
  return lines.join('\n');
}
