import { useEffect, useRef, useSyncExternalStore } from 'react';

const KEPT = 200;

/** What tells one change from another at a glance; the rest is in the line's tooltip. */
function told(change) {
  const pairs = (value) => Object.entries(value).flatMap(([name, inner]) => {
    if (name === 'position' || name === 'id' || inner === null || Array.isArray(inner)) return [];
    return typeof inner === 'object' ? pairs(inner) : `${name}: ${inner}`;
  });
  return pairs(change).join(', ');
}

/** What the subscription of the open tab has brought: the result pane shows the newest change only. */
export function createLive() {
  const empty = { state: '', count: 0, changes: [] };
  let current = empty;
  const listeners = new Set();
  const set = (next) => {
    current = next;
    for (const listener of listeners) listener();
  };
  return {
    begin: () => set({ ...empty, state: 'connecting' }),
    state: (state) => set({ ...current, state }),
    change: (change) => {
      const count = current.count + 1;
      const changes = [...current.changes, { count, change }].slice(-KEPT);
      set({ ...current, count, changes });
    },
    clear: () => set(empty),
    get: () => current,
    listen: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function Live({ live }) {
  const { state, count, changes } = useSyncExternalStore(live.listen, live.get);
  const list = useRef(null);
  useEffect(() => {
    if (list.current) list.current.scrollTop = list.current.scrollHeight;
  }, [count]);
  if (!state) return null;
  return (
    <section className="live" aria-label="Subscription">
      <p role="status">
        {state}, {count} {count === 1 ? 'change' : 'changes'}
      </p>
      <ol ref={list}>
        {changes.map(({ count, change }) => (
          <li key={count} value={count} title={JSON.stringify(change)}>
            {told(change)}
          </li>
        ))}
      </ol>
    </section>
  );
}
