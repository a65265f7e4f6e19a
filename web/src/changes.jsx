import { useEffect, useRef, useSyncExternalStore } from 'react';

/** Number of changes shown; older ones are dropped, so that a page left open does not grow without bound. */
const MAX_CHANGES = 200;

/** Summarises a change in one line: its scalar fields. The line's tooltip contains the whole change. */
function summary(change) {
  const fields = (value) => Object.entries(value).flatMap(([name, inner]) => {
    if (name === 'position' || name === 'id' || inner === null || Array.isArray(inner)) return [];
    return typeof inner === 'object' ? fields(inner) : `${name}: ${inner}`;
  });
  return fields(change).join(', ');
}

/**
 * Creates the store of the changes that the subscription of the open tab has received. The result pane shows only the
 * newest of them.
 */
export function createChangeList() {
  const empty = { state: '', count: 0, changes: [] };
  const listeners = new Set();
  let current = empty;

  const set = (next) => {
    current = next;
    for (const listener of listeners) listener();
  };

  return {
    begin: () => set({ ...empty, state: 'connecting' }),
    setState: (state) => set({ ...current, state }),
    add: (change) => {
      const count = current.count + 1;
      const changes = [...current.changes, { count, change }].slice(-MAX_CHANGES);
      set({ ...current, count, changes });
    },
    clear: () => set(empty),
    snapshot: () => current,
    listen: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function ChangeList({ changeList }) {
  const { state, count, changes } = useSyncExternalStore(changeList.listen, changeList.snapshot);

  // The newest change is the last line, so the list scrolls to its end.
  const list = useRef(null);
  useEffect(() => {
    if (list.current) list.current.scrollTop = list.current.scrollHeight;
  }, [count]);

  if (!state) return null;
  return (
    <section className="changes" aria-label="Subscription">
      <p role="status">
        {state}, {count} {count === 1 ? 'change' : 'changes'}
      </p>
      <ol ref={list}>
        {changes.map(({ count, change }) => (
          <li key={count} value={count} title={JSON.stringify(change)}>
            {summary(change)}
          </li>
        ))}
      </ol>
    </section>
  );
}
