const PREFIX = 'graphiql:';

/** The tab that was open last. GraphiQL fills its editors from it only when it is told so. */
export function storedTab() {
  try {
    const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem(`${PREFIX}tabState`));
    return tabs[activeTabIndex];
  } catch {
    return undefined;
  }
}

/** Keys of a demo market stay in the browser, others must not: not even those typed in while it was a demo. */
export function forgetHeaders() {
  for (const name of ['headers', 'queries', 'favorites', 'shouldPersistHeaders']) {
    localStorage.removeItem(PREFIX + name);
  }
  const tabs = localStorage.getItem(`${PREFIX}tabState`);
  if (!tabs) return;
  try {
    const withoutHeaders = JSON.stringify(JSON.parse(tabs), (name, value) => (name === 'headers' ? null : value));
    localStorage.setItem(`${PREFIX}tabState`, withoutHeaders);
  } catch {
    localStorage.removeItem(`${PREFIX}tabState`);
  }
}
