const PREFIX = 'graphiql:';

/** Returns the tab that was open last. GraphiQL fills its editors from it only if it is passed explicitly. */
export function storedTab() {
  try {
    const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem(`${PREFIX}tabState`));
    return tabs[activeTabIndex];
  } catch {
    return undefined;
  }
}

/**
 * Removes stored headers, and with them API keys. Only the public keys of a demo market may stay in the browser; this
 * also removes keys that were typed in while the market was a demo.
 */
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
