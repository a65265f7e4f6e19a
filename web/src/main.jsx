import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createRoot } from 'react-dom/client';
import 'graphiql/style.css';
import './page.css';
import './workers.js';
import { ChangeList, createChangeList } from './changes.jsx';
import { examples, headersOfNewTab } from './examples.js';
import { createFetcher } from './fetcher.js';
import { forgetHeaders, storedTab } from './storage.js';

/** Loads the page's configuration. Without one the page still works, with placeholders for keys. */
async function loadConfig() {
  try {
    const response = await fetch(`${import.meta.env.BASE_URL}config.json`);
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}

const config = await loadConfig();
const demo = config.demo === true;
if (!demo) forgetHeaders();

const tabs = examples(config);
const defaultHeaders = headersOfNewTab(config);
const initialTab = storedTab() ?? tabs[0];
const initialHeaders = initialTab.headers ?? (demo ? '' : defaultHeaders);
const changeList = createChangeList();
const fetcher = createFetcher(changeList, initialHeaders);

let openTab;
const clearOnTabChange = ({ tabs, activeTabIndex }) => {
  const { id } = tabs[activeTabIndex];
  if (openTab !== undefined && openTab !== id) changeList.clear();
  openTab = id;
};

createRoot(document.getElementById('graphiql')).render(
  <GraphiQL
    fetcher={fetcher}
    defaultTabs={tabs}
    defaultHeaders={defaultHeaders}
    initialQuery={initialTab.query ?? ''}
    initialVariables={initialTab.variables ?? ''}
    initialHeaders={initialHeaders}
    defaultEditorToolsVisibility
    shouldPersistHeaders={demo}
    // The history stores headers, and with them API keys, so only a demo market has one.
    plugins={demo ? [HISTORY_PLUGIN] : []}
    onTabChange={clearOnTabChange}
  >
    <GraphiQL.Logo>Dealwire</GraphiQL.Logo>
    <GraphiQL.Footer>
      <ChangeList changeList={changeList} />
    </GraphiQL.Footer>
  </GraphiQL>,
);
