// The gateway's limits of documents (documents/src/limits.rs), which generated documents keep.

import { Kind } from 'graphql17';

const LIMITS = { depth: 15, selections: 2_000, roots: 20, aliases: 50, directives: 50 };

/** Returns whether an operation, with all fragments expanded, keeps the limits. */
export function isWithinLimits(definitions) {
  const fragments = new Map(definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION).map((one) => [one.name.value, one]));
  const operation = definitions.find(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  const cost = costOf(operation.selectionSet, fragments);
  return Object.entries(LIMITS).every(([name, limit]) => cost[name] <= limit);
}

/** Returns the cost of a selection set; `roots` are its own fields. */
function costOf({ selections }, fragments) {
  const total = { depth: 0, selections: 0, roots: 0, aliases: 0, directives: 0 };
  for (const node of selections) {
    const isField = node.kind === Kind.FIELD;
    const set = node.kind === Kind.FRAGMENT_SPREAD ? fragments.get(node.name.value).selectionSet : node.selectionSet;
    const inner = set ? costOf(set, fragments) : { depth: 0, selections: 0, roots: 0, aliases: 0, directives: 0 };

    total.depth = Math.max(total.depth, inner.depth + Number(isField));
    total.selections += 1 + inner.selections;
    total.roots += isField ? 1 : inner.roots;
    total.aliases += Number(node.alias !== undefined) + inner.aliases;
    total.directives += (node.directives?.length ?? 0) + inner.directives;
  }
  return total;
}
