// Runs the page in a browser against a running dealwire with the demo market.
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
const PATIENCE = 20_000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  // No name resolves: what slips past the interception below does not get out either.
  args: ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost'],
});
const strangers = [];
const complaints = [];
let shown;

async function open(prepare = async () => {}) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
      console.error(`CSP violation of ${violatedDirective}: ${blockedURI}`);
    });
  });
  const foreign = (url) => !['data:', 'blob:'].includes(url.protocol) && url.host !== host;
  await context.route(foreign, (route) => {
    strangers.push(route.request().url());
    return route.abort();
  });
  const page = await context.newPage();
  page.on('websocket', (socket) => {
    if (foreign(new URL(socket.url()))) strangers.push(socket.url());
  });
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await prepare(page);
  const introspection = page.waitForRequest((request) => request.postData()?.includes('IntrospectionQuery'));
  const response = await page.goto(`${origin}/graphiql`);
  shown = page;
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

/** Waits until the result pane shows all the texts, as somebody in front of it would read them. */
const shows = (page, ...texts) => showsWithin(PATIENCE, page, ...texts);

async function showsWithin(timeout, page, ...texts) {
  try {
    await page.waitForFunction((wanted) => {
      const pane = document.querySelector('.result-window .view-lines');
      const text = pane?.innerText.replaceAll('\u00a0', ' ') ?? '';
      return wanted.every((one) => text.includes(one));
    }, texts, { timeout });
  } catch {
    assert.fail(`the result pane does not show ${texts.join(', ')}:\n${await page.locator('.result-window').innerText()}`);
  }
}

const state = (page, text) => page.getByRole('status').filter({ hasText: text }).waitFor();
const changes = async (page) => {
  const lines = await page.locator('.live li').evaluateAll((items) => items.map(({ title }) => title));
  return lines.map((line) => JSON.parse(line).deal.name);
};

// Typed text would be mixed with the brackets and quotes that the editor adds by itself.
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

async function check(what, how) {
  try {
    const result = await how();
    console.log(`ok    ${what}`);
    return result;
  } catch (error) {
    const file = join(mkdtempSync(join(tmpdir(), 'dealwire-graphiql-')), 'failure.png');
    await shown?.screenshot({ path: file }).catch(() => {});
    console.log(`FAIL  ${what}\n${error.stack}\n${complaints.join('\n')}\nscreenshot: ${file}`);
    await browser.close();
    process.exit(1);
  }
}

const { page, config } = await check('the page opens under a strict content security policy', async () => {
  const config = await (await fetch(`${origin}/graphiql/config.json`)).json();
  assert.equal(config.demo, true, 'this needs the demo market');
  const { page, response, introspection } = await open();
  const policy = response.headers()['content-security-policy'] ?? '';
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe-eval|script-src/);
  assert.equal(await page.title(), 'Dealwire GraphiQL');
  assert.equal(introspection.headers()['x-api-key'], config.sellerKey, 'the schema is asked for with the key of the tab');
  return { page, config };
});

await check('there are five tabs with their titles', async () => {
  assert.deepEqual(await tabs(page).allInnerTexts(), TITLES);
});

await check('the schema explorer shows the schema', async () => {
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  const docs = page.locator('.graphiql-doc-explorer');
  await docs.getByText('Subscription', { exact: true }).click();
  await docs.getByText('dealChanged', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Hide Documentation Explorer' }).click();
});

await check('no editor of any tab marks a mistake', async () => {
  for (const title of TITLES) {
    await openTab(page, title);
    // The checks run in workers. Once they have marked a mistake and taken the mark away again, they have seen the rest.
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

await check('Subscribe shows a deal that is created meanwhile', async () => {
  await openTab(page, 'Subscribe');
  await run(page);
  await state(page, 'live');
  // Nothing tells when the server has taken up a subscription, so the first deal may come too early for it.
  for (let more = 4; ; more -= 1) {
    const { name } = await createDeal(config);
    try {
      await showsWithin(more ? 2000 : PATIENCE, page, '"position": "', '"type": "CREATED"', name);
      break;
    } catch (error) {
      if (!more) throw error;
    }
  }
  if (options.screenshot) await page.screenshot({ path: options.screenshot });
  await stop(page);
  await state(page, 'stopped');
});

const POSITION = '{ dealsForBuyer(first: 1) { position } }';
const now = async () => (await graphql(config.buyerKey, POSITION)).dealsForBuyer.position;

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

await check('the tabs, their variables and the demo keys are there after a reload', async () => {
  await page.waitForFunction(() => {
    const { tabs } = JSON.parse(localStorage.getItem('graphiql:tabState'));
    return tabs.every(({ headers }) => headers) && /"after":"/.test(tabs.at(-1).variables);
  });
  await page.reload();
  await page.locator('section[aria-label=Variables] .view-line').filter({ hasText: '"after":"' }).waitFor();
  assert.deepEqual(await tabs(page).allInnerTexts(), TITLES);
});

await page.context().close();

await check('a broken connection resumes after the last position; nothing is missed and nothing comes twice', async () => {
  let socket;
  let reachable = true;
  const { page } = await open((page) => page.routeWebSocket(/\/graphql$/, (one) => {
    if (!reachable) return one.close({ code: 1013, reason: 'Try again later' });
    one.connectToServer();
    socket = one;
  }));
  await openTab(page, 'Resume');
  await setVariables(page, { after: await now() });
  await run(page);
  const deals = [await createDeal(config)];
  await shows(page, deals[0].name);
  reachable = false;
  await socket.close({ code: 1012, reason: 'Service restart' });
  await shows(page, '"closeCode": 1013', 'Try again later', '"retrying": true');
  deals.push(await createDeal(config), await createDeal(config));
  reachable = true;
  await shows(page, deals[2].name);
  await state(page, 'live, 3 changes');
  assert.deepEqual(await changes(page), deals.map(({ name }) => name));
  await page.context().close();
});

await check('a refused client is told why and does not try again', async () => {
  let connections = 0;
  const { page } = await open((page) => page.routeWebSocket(/\/graphql$/, (one) => {
    connections += 1;
    return one.close({ code: 4403, reason: 'Forbidden' });
  }));
  await openTab(page, 'Subscribe');
  await run(page);
  await shows(page, '4403 Forbidden', '"retrying": false');
  await state(page, 'ended');
  assert.equal(connections, 1);
  await page.getByRole('button', { name: /^Execute query/ }).waitFor();
  await page.context().close();
});

await check('without the demo market there are no keys, and none is kept', async () => {
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

await check('nothing was asked of another host', () => assert.deepEqual(strangers, []));
await check('no error, warning or policy violation was on the console', () => {
  // The browser itself notes the answer of the market to the client without a key.
  const expected = /^Failed to load resource: the server responded with a status of 401/;
  assert.deepEqual(complaints.filter((complaint) => !expected.test(complaint)), []);
});

await check('a missing config.json does not break the page', async () => {
  const { page } = await open((page) => page.route('**/graphiql/config.json', (route) => route.fulfill({ status: 404 })));
  assert.deepEqual(await tabs(page).allInnerTexts(), TITLES);
});

await browser.close();
