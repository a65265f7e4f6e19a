// Random numbers that follow from a seed, so that a document can be generated again from its seed and number.

export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** Returns a number from 0 up to, but not including, 1 (the generator mulberry32). */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Returns an integer from `low` to `high`, both inclusive. */
  integer(low, high) {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** Returns true with the given probability. */
  chance(probability) {
    return this.next() < probability;
  }

  /** Returns one element of a list that is not empty. */
  pick(list) {
    return list[this.integer(0, list.length - 1)];
  }

  /** Returns one element, each with a probability in proportion to its weight. */
  weighted(list, weight) {
    let rest = this.next() * list.reduce((sum, element) => sum + weight(element), 0);
    return list.find((element) => (rest -= weight(element)) < 0) ?? list.at(-1);
  }

  /** Returns the elements in random order. */
  shuffled(list) {
    const copy = [...list];
    for (let index = copy.length - 1; index > 0; index -= 1) {
      const other = this.integer(0, index);
      [copy[index], copy[other]] = [copy[other], copy[index]];
    }
    return copy;
  }

  /** Returns a UUID of version 4. */
  uuid() {
    const digits = Array.from({ length: 32 }, () => this.integer(0, 15).toString(16));
    digits[12] = '4';
    digits[16] = '89ab'[this.integer(0, 3)];
    const text = digits.join('');
    return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
  }
}

/** Returns the seed of the document with this number in a run with this seed. */
export function seedOf(run, number) {
  return (Math.imul(run, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b)) >>> 0;
}
