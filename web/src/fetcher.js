import { Kind, parse } from 'graphql';
import { createClient } from 'graphql-ws';
import { PLACEHOLDER } from './examples.js';

// The server has refused this client for good: the same again would be refused again.
const FATAL_CLOSE_CODES = new Set([4400, 4401, 4403, 4406, 4429]);

/**
 * Queries and mutations go over HTTP, subscriptions over a socket each, with the headers of the tab they are in.
 * `live` is told what becomes of the subscriptions. GraphiQL asks for the schema before it has a headers editor:
 * `firstHeaders` are what will be in it.
 */
export function createFetcher(live, firstHeaders) {
  let first = true;
  return (params, options) => {
    const headers = lowerCased(options?.headers ?? (first ? parsed(firstHeaders) : undefined));
    first = false;
    const operation = operationOf(params);
    // For a moment after a change of the tab GraphiQL still names the operation of the one before.
    const request = { ...params, operationName: operation ? operation.name?.value : params.operationName };
    if (operation?.operation === 'subscription') {
      return { subscribe: (observer) => subscribe(request, operation, headers, observer, live) };
    }
    return post(request, headers);
  };
}

function parsed(headers) {
  try {
    return JSON.parse(headers);
  } catch {
    return undefined;
  }
}

/** Header names know no case, but the members of `connectionParams` do. */
function lowerCased(headers) {
  return Object.fromEntries(
    Object.entries(headers ?? {})
      .map(([name, value]) => [name.toLowerCase(), value])
      // Without a key the schema loads all the same; with one that is not known it does not.
      .filter(([, value]) => value !== PLACEHOLDER),
  );
}

function operationOf({ query, operationName }) {
  try {
    const operations = parse(query).definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    return operations.length === 1 ? operations[0] : operations.find(({ name }) => name?.value === operationName);
  } catch {
    // The server says better what is wrong with a document that is none.
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

function subscribe({ query, variables, operationName }, operation, headers, observer, live) {
  // graphql-ws sends this very object again on each retry, so what is stored in it is what a retry asks for.
  const payload = { query, variables: { ...variables }, operationName };
  const resumes = operation.variableDefinitions?.some(({ variable }) => variable.name.value === 'after');
  let done = false;
  let newest;

  const end = () => {
    done = true;
    live.state('ended');
    observer.complete();
  };

  live.begin();
  const client = createClient({
    url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql`,
    connectionParams: headers,
    retryAttempts: Infinity,
    // A refused connection is an event without a code. An Error is a fault of the page or of the protocol.
    shouldRetry: (reason) => !(reason instanceof Error) && !FATAL_CLOSE_CODES.has(reason.code),
    retryWait: (retries) => {
      const most = Math.min(30_000, 500 * 2 ** retries);
      return new Promise((resolve) => setTimeout(resolve, most / 2 + (Math.random() * most) / 2));
    },
    on: {
      connected: (_socket, _payload, wasRetry) => {
        if (done) return;
        live.state('live');
        // The error of the lost connection would look as if it still were lost.
        if (wasRetry) observer.next(newest ?? { extensions: { connection: 'open again, waiting for changes' } });
      },
      // Later, as the client has not yet decided here whether it goes on.
      closed: (event) => setTimeout(() => {
        if (done) return;
        live.state('connecting again');
        observer.next(closed(event, true));
      }),
    },
  });

  const dispose = client.subscribe(payload, {
    next(result) {
      if (done) return;
      newest = result;
      const change = Object.values(result.data ?? {})[0];
      if (resumes && change?.position) payload.variables.after = change.position;
      if (change) live.change(change);
      observer.next(result);
    },
    error(reason) {
      if (done) return;
      if (Array.isArray(reason)) observer.next({ errors: reason });
      else if (reason?.code !== undefined) observer.next(closed(reason, false));
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
      live.state('stopped');
      dispose();
    },
  };
}

function closed({ code, reason }, retrying) {
  const why = reason ? `${code} ${reason}` : `${code}`;
  return {
    errors: [
      {
        message: `The connection was closed: ${why}${retrying ? '. Connecting again' : ''}`,
        extensions: { closeCode: code, closeReason: reason, retrying },
      },
    ],
  };
}
