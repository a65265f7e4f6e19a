// Runs the GraphiQL page in a browser against a running dealwire with the demo market.
// node test/graphiql.mjs http://127.0.0.1:8080 [--screenshot FILE]

import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { screenshot: { type: 'string' } },
});
const origin = new URL(positionals[0] ?? 'http://127.0.0.1:8080').origin;
const host = new URL(origin).host;
const TITLES = ['Create', 'Update', 'Query', 'Subscribe', 'Resume'];
/** Longest wait for the page to show something, in milliseconds. */
const TIMEOUT = 20_000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  // No host name resolves, so a request that escapes the interception below cannot leave this machine either.
  args: ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost'],
});
const foreignRequests = [];
const consoleMessages = [];
let currentPage;

async function open(prepare = async () => {}) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  context.setDefaultTimeout(TIMEOUT);
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
      console.error(`CSP violation of ${violatedDirective}: ${blockedURI}`);
    });
  });
  const isForeign = (url) => !['data:', 'blob:'].includes(url.protocol) && url.host !== host;
  await context.route(isForeign, (route) => {
    foreignRequests.push(route.request().url());
    return route.abort();
  });
  const page = await context.newPage();
  page.on('websocket', (socket) => {
    if (isForeign(new URL(socket.url()))) foreignRequests.push(socket.url());
  });
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) consoleMessages.push(message.text());
  });
  page.on('pageerror', (error) => consoleMessages.push(String(error)));
  await prepare(page);
  const introspection = page.waitForRequest((request) => request.postData()?.includes('IntrospectionQuery'));
  const response = await page.goto(`${origin}/graphiql`);
  currentPage = page;
  await page.locator('.graphiql-editor-tool .view-line').first().waitFor();
  return { page, response, introspection: await introspection };
}

const tabs = (page) => page.locator('[id^=graphiql-session-tab-]');
const openTab = async (page, title) => {
  await page.getByTitle(title, { exact: true }).click();
  await page.waitForFunction((text) => globalThis.__MONACO.editor.getModels()
    .some((model) => model.uri.path.endsWith('operation.graphql') && model.getValue().includes(text)), ` ${title}`);
};
const run = (page) => page.getByRole('button', { name: /^Execute query/ }).click();
const stop = (page) => page.getByRole('button', { name: /^Stop query/ }).click();

/** Waits until the result pane visibly contains all the texts. */
const shows = (page, ...texts) => showsWithin(TIMEOUT, page, ...texts);

async function showsWithin(timeout, page, ...texts) {
  try {
    await page.waitForFunction((wanted) => {
      const pane = document.querySelector('.result-window .view-lines');
      const text = pane?.innerText.replaceAll('\u00a0', ' ') ?? '';
      return wanted.every((part) => text.includes(part));
    }, texts, { timeout });
  } catch {
    assert.fail(`the result pane does not show ${texts.join(', ')}:\n${await page.locator('.result-window').innerText()}`);
  }
}

const stateShows = (page, text) => page.getByRole('status').filter({ hasText: text }).waitFor();
const changes = async (page) => {
  const lines = await page.locator('.changes li').evaluateAll((items) => items.map(({ title }) => title));
  return lines.map((line) => JSON.parse(line).deal.name);
};

// The model is set directly, because the editor would add brackets and quotes of its own to typed text.
async function setVariables(page, variables) {
  await page.evaluate((text) => {
    const models = globalThis.__MONACO.editor.getModels();
    models.find(({ uri }) => uri.path.endsWith('variables.json')).setValue(text);
  }, JSON.stringify(variables));
}

async function graphql(key, query, variables) {
  const response = await fetch(`${origin}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': key },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

let names = 0;
const newName = () => `browser test ${Date.now().toString(36)} ${++names}`;

async function createDeal(config, name = newName()) {
  const input = { name, totalPrice: 100, currency: 'GBP', items: [{ name, price: 100 }] };
  const create = 'mutation ($input: CreateDealInput!) { createDeal(input: $input) { position } }';
  const { createDeal: { position } } = await graphql(config.sellerKey, create, { input });
  return { name, position };
}

async function check(title, test) {
  try {
    const result = await test();
    console.log(`ok    ${title}`);
    return result;
  } catch (error) {
    const file = join(mkdtempSync(join(tmpdir(), 'dealwire-graphiql-')), 'failure.png');
    await currentPage?.screenshot({ path: file }).catch(() => {});
    console.log(`FAIL  ${title}\n${error.stack}\n${consoleMessages.join('\n')}\nscreenshot: ${file}`);
    await browser.close();
    process.exit(1);
  }
}

const { page, config } = await check('the page opens under a strict content security policy', async () => {
  const config = await (await fetch(`${origin}/graphiql/config.json`)).json();
  assert.equal(config.demo, true, 'the test needs a server with the demo market');
  const { page, response, introspection } = await open();
  const policy = response.headers()['content-security-policy'] ?? '';
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe-eval|script-src/);
  assert.equal(await page.title(), 'Dealwire GraphiQL');
  assert.equal(introspection.headers()['x-api-key'], config.sellerKey, 'the schema is requested with the key of the open tab');
  return { page, config };
});

await check('there are five tabs with their titles', async () => {
  assert.deepEqual(await tabs(page).allInnerTexts(), TITLES);
});

await check('the schema explorer shows the schema', async () => {
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  const docs = page.locator('.graphiql-doc-explorer');
  await docs.getByText('Subscription', { exact: true }).click();
  await docs.getByRole('link', { name: 'dealChanged', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Hide Documentation Explorer' }).click();
});

await check('no tab has an error marked in an editor', async () => {
  for (const title of TITLES) {
    await openTab(page, title);
    // Validation runs in workers, which do not report success. A mistake is added and removed again: once its marker has
    // come and gone, the workers have validated the rest of the document.
    const marks = await page.evaluate(async (mistake) => {
      const { editor } = globalThis.__MONACO;
      const model = editor.getModels().find(({ uri }) => uri.path.endsWith('operation.graphql'));
      const until = (condition) => new Promise((resolve) => {
        const listener = editor.onDidChangeMarkers(() => {
          if (!condition()) return;
          listener.dispose();
          resolve();
        });
      });
      const count = () => editor.getModelMarkers({ resource: model.uri }).length;
      const query = model.getValue();
      model.setValue(query + mistake);
      await until(() => count() > 0);
      model.setValue(query);
      await until(() => count() === 0);
      return editor.getModelMarkers({}).map(({ message }) => message);
    }, '\nfragment Unused on Nothing { no }');
    assert.deepEqual(marks, [], title);
  }
});

await check('Create creates a deal', async () => {
  await openTab(page, 'Create');
  await run(page);
  await shows(page, '"position": "', '"version": 1');
});

await check('Update updates the deal', async () => {
  await openTab(page, 'Update');
  await run(page);
  await shows(page, '"position": "', config.dealId);
});

await check('Query shows deals', async () => {
  await openTab(page, 'Query');
  await run(page);
  await shows(page, '"nodes": [', '"finalPrice": ', '"hasNextPage": ');
});

await check('Subscribe shows a deal that is created afterwards', async () => {
  await openTab(page, 'Subscribe');
  await run(page);
  await stateShows(page, 'live');
  // The protocol does not acknowledge subscriptions, so the first deals may be created before this one has begun.
  for (let remaining = 4; ; remaining -= 1) {
    const { name } = await createDeal(config);
    try {
      await showsWithin(remaining ? 2000 : TIMEOUT, page, '"position": "', '"type": "CREATED"', name);
      break;
    } catch (error) {
      if (!remaining) throw error;
    }
  }
  if (options.screenshot) await page.screenshot({ path: options.screenshot });
  await stop(page);
  await stateShows(page, 'stopped');
});

const POSITION = '{ dealsForBuyer(first: 1) { position } }';
const currentPosition = async () => (await graphql(config.buyerKey, POSITION)).dealsForBuyer.position;

await check('Resume shows what was missed since a position, in order', async () => {
  const first = await createDeal(config);
  const missed = [await createDeal(config), await createDeal(config)];
  await openTab(page, 'Resume');
  await setVariables(page, { after: first.position });
  await run(page);
  await shows(page, missed[1].name);
  assert.deepEqual(await changes(page), missed.map(({ name }) => name));
  await stop(page);
});

await check('tabs, variables and demo keys survive a reload', async () => {
  await page.waitForFunction(() => {
    const { tabs } = JSON.parse(localStorage.getItem('graphiql:tabState'));
    return tabs.every(({ headers }) => headers) && /"after":"/.test(tabs.at(-1).variables);
  });
  await page.reload();
  await page.locator('section[aria-label=Variables] .view-line').filter({ hasText: '"after":"' }).waitFor();
  assert.deepEqual(await tabs(page).allInnerTexts(), TITLES);
});

await page.context().close();

await check('a lost connection resumes after the last position: each change once, in order', async () => {
  let socket;
  let reachable = true;
  const { page } = await open((page) => page.routeWebSocket(/\/graphql$/, (route) => {
    if (!reachable) return route.close({ code: 1013, reason: 'Try again later' });
    route.connectToServer();
    socket = route;
  }));
  await openTab(page, 'Resume');
  await setVariables(page, { after: await currentPosition() });
  await run(page);
  const deals = [await createDeal(config)];
  await shows(page, deals[0].name);
  reachable = false;
  await socket.close({ code: 1012, reason: 'Service restart' });
  await shows(page, '"closeCode": 1013', 'Try again later', '"retrying": true');
  deals.push(await createDeal(config), await createDeal(config));
  reachable = true;
  await shows(page, deals[2].name);
  await stateShows(page, 'live, 3 changes');
  assert.deepEqual(await changes(page), deals.map(({ name }) => name));
  await page.context().close();
});

await check('a refused subscription shows the reason and is not retried', async () => {
  let connections = 0;
  const { page } = await open((page) => page.routeWebSocket(/\/graphql$/, (route) => {
    connections += 1;
    return route.close({ code: 4403, reason: 'Forbidden' });
  }));
  await openTab(page, 'Subscribe');
  await run(page);
  await shows(page, '4403 Forbidden', '"retrying": false');
  await stateShows(page, 'ended');
  assert.equal(connections, 1);
  await page.getByRole('button', { name: /^Execute query/ }).waitFor();
  await page.context().close();
});

await check('without the demo market the page has no keys and stores none', async () => {
  const { page, introspection } = await open((page) => page.route('**/graphiql/config.json', (route) => (
    route.fulfill({ json: { demo: false } })
  )));
  assert.equal(introspection.headers()['x-api-key'], undefined);
  assert.deepEqual(await tabs(page).allInnerTexts(), TITLES);
  await page.getByRole('button', { name: 'Headers', exact: true }).click();
  await page.locator('section[aria-label=Headers] .view-line').filter({ hasText: '"your key"' }).waitFor();
  await openTab(page, 'Query');
  await run(page);
  await shows(page, 'UNAUTHENTICATED');
  await page.waitForFunction(() => JSON.parse(localStorage.getItem('graphiql:tabState'))?.activeTabIndex === 2);
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage }));
  assert.doesNotMatch(stored, /x-api-key/);
  await page.context().close();
});

await check('no request went to another host', () => assert.deepEqual(foreignRequests, []));
await check('no error, warning or policy violation appeared on the console', () => {
  // The browser itself reports the 401 answer to the request without a key.
  const expected = /^Failed to load resource: the server responded with a status of 401/;
  assert.deepEqual(consoleMessages.filter((message) => !expected.test(message)), []);
});

await check('a missing config.json does not break the page', async () => {
  const { page } = await open((page) => page.route('**/graphiql/config.json', (route) => route.fulfill({ status: 404 })));
  assert.deepEqual(await tabs(page).allInnerTexts(), TITLES);
});

await browser.close();
