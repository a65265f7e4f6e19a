import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createRoot } from 'react-dom/client';
import 'graphiql/style.css';
import './page.css';
import './workers.js';
import { examples, headersOfNewTab } from './examples.js';
import { createFetcher } from './fetcher.js';
import { createLive, Live } from './live.jsx';
import { forgetHeaders, storedTab } from './storage.js';

async function settings() {
  try {
    const response = await fetch(`${import.meta.env.BASE_URL}config.json`);
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}

const config = await settings();
const demo = config.demo === true;
if (!demo) forgetHeaders();

const tabs = examples(config);
const defaultHeaders = headersOfNewTab(config);
const open = storedTab() ?? tabs[0];
const live = createLive();
const openHeaders = open.headers ?? (demo ? '' : defaultHeaders);
const fetcher = createFetcher(live, openHeaders);

let openTab;
const clearOnTabChange = ({ tabs, activeTabIndex }) => {
  const { id } = tabs[activeTabIndex];
  if (openTab !== undefined && openTab !== id) live.clear();
  openTab = id;
};

createRoot(document.getElementById('graphiql')).render(
  <GraphiQL
    fetcher={fetcher}
    defaultTabs={tabs}
    defaultHeaders={defaultHeaders}
    initialQuery={open.query ?? ''}
    initialVariables={open.variables ?? ''}
    initialHeaders={openHeaders}
    defaultEditorToolsVisibility
    shouldPersistHeaders={demo}
    // The history keeps the headers of what was run.
    plugins={demo ? [HISTORY_PLUGIN] : []}
    onTabChange={clearOnTabChange}
  >
    <GraphiQL.Logo>Dealwire</GraphiQL.Logo>
    <GraphiQL.Footer>
      <Live live={live} />
    </GraphiQL.Footer>
  </GraphiQL>,
);
