import { Kind, parse } from 'graphql';
import { createClient } from 'graphql-ws';
import { PLACEHOLDER } from './examples.js';

// Close codes after which another attempt would be refused for the same reason: bad request, unauthorized, forbidden,
// unknown subprotocol and too many initialisation requests.
const FATAL_CLOSE_CODES = new Set([4400, 4401, 4403, 4406, 4429]);

/**
 * Creates GraphiQL's fetcher. Queries and mutations go over HTTP; each subscription has a websocket of its own, with the
 * headers of its tab. `changeList` receives the state and the changes of the subscription. GraphiQL requests the schema
 * before its headers editor exists: `initialHeaders` are the headers that the editor will contain.
 */
export function createFetcher(changeList, initialHeaders) {
  let first = true;

  return (params, options) => {
    const given = options?.headers ?? (first ? parseOrUndefined(initialHeaders) : undefined);
    first = false;
    const headers = requestHeaders(given);

    // For a moment after a change of tabs, GraphiQL still passes the operation name of the previous tab.
    const operation = operationOf(params);
    const operationName = operation ? operation.name?.value : params.operationName;
    const request = { ...params, operationName };

    if (operation?.operation === 'subscription') {
      return { subscribe: (observer) => subscribe(request, operation, headers, observer, changeList) };
    }
    return post(request, headers);
  };
}

function parseOrUndefined(headers) {
  try {
    return JSON.parse(headers);
  } catch {
    return undefined;
  }
}

/** Header names are case-insensitive, but the members of `connectionParams` are not: all become lower case. */
function requestHeaders(headers) {
  return Object.fromEntries(
    Object.entries(headers ?? {})
      .map(([name, value]) => [name.toLowerCase(), value])
      // The schema loads without a key, but not with an unknown one.
      .filter(([, value]) => value !== PLACEHOLDER),
  );
}

function operationOf({ query, operationName }) {
  try {
    const operations = parse(query).definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    return operations.length === 1 ? operations[0] : operations.find(({ name }) => name?.value === operationName);
  } catch {
    // The server explains a syntax error better than this page could.
    return undefined;
  }
}

async function post({ query, variables, operationName }, headers) {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: {
      ...headers,
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/json',
    },
    body: JSON.stringify({ query, variables, operationName }),
  });

  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`The server answered ${response.status} ${response.statusText}`.trim());
  }
}

function subscribe({ query, variables, operationName }, operation, headers, observer, changeList) {
  // graphql-ws sends this very object again on each retry, so a position stored in it is where the retry resumes.
  const payload = { query, variables: { ...variables }, operationName };
  const resumable = operation.variableDefinitions?.some(({ variable }) => variable.name.value === 'after');
  let done = false;
  let lastResult;

  const end = () => {
    done = true;
    changeList.setState('ended');
    observer.complete();
  };

  changeList.begin();
  const client = createClient({
    url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql`,
    connectionParams: headers,
    retryAttempts: Infinity,
    // A connection that cannot be established is reported as an event without a code. An Error is a fault of the page
    // or of the protocol.
    shouldRetry: (reason) => !(reason instanceof Error) && !FATAL_CLOSE_CODES.has(reason.code),
    retryWait: (retries) => {
      // Exponential backoff up to 30 s. The random half keeps many pages from coming back at once after a restart.
      const longest = Math.min(30_000, 500 * 2 ** retries);
      return new Promise((resolve) => setTimeout(resolve, longest / 2 + (Math.random() * longest) / 2));
    },
    on: {
      connected: (_socket, _payload, wasRetry) => {
        if (done) return;
        changeList.setState('live');

        // Without a new result, the error of the lost connection would stay on display.
        if (wasRetry) observer.next(lastResult ?? { extensions: { connection: 'Connected again; waiting for changes' } });
      },
      // Deferred, because at this point the client has not decided yet whether to retry.
      closed: (event) => setTimeout(() => {
        if (done) return;
        changeList.setState('reconnecting');
        observer.next(closeError(event, true));
      }),
    },
  });

  const dispose = client.subscribe(payload, {
    next(result) {
      if (done) return;
      lastResult = result;

      const change = Object.values(result.data ?? {})[0];
      if (resumable && change?.position) payload.variables.after = change.position;
      if (change) changeList.add(change);
      observer.next(result);
    },
    error(reason) {
      if (done) return;

      if (Array.isArray(reason)) observer.next({ errors: reason });
      else if (reason?.code !== undefined) observer.next(closeError(reason, false));
      else observer.next({ errors: [{ message: String(reason?.message ?? reason) }] });
      end();
    },
    complete() {
      if (!done) end();
    },
  });

  return {
    unsubscribe() {
      if (done) return;
      done = true;
      changeList.setState('stopped');
      dispose();
    },
  };
}

function closeError({ code, reason }, retrying) {
  const cause = reason ? `${code} ${reason}` : `${code}`;

  return {
    errors: [
      {
        message: `The connection was closed: ${cause}${retrying ? '. Reconnecting' : ''}`,
        extensions: { closeCode: code, closeReason: reason, retrying },
      },
    ],
  };
}
