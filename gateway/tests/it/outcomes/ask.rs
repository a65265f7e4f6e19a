//! One request over any transport, and the first error that it is answered with.

use gateway::error::{Code, Effect, Scope, Transport};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::kit::{Answer, Client, End, Socket, TestApp};

/// Request that can be sent over every transport of GraphQL.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) key: Option<&'static str>,
    pub(super) query: String,
    pub(super) variables: Value,
}

/// Error as a client was told it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) code: String,
    pub(super) retryable: bool,
    /// HTTP status; 101 over websockets.
    pub(super) status: u16,
    /// Part of the request that it was told for; `None` in REST, which has no parts.
    pub(super) scope: Option<Scope>,
    /// True if the error has an `errorId`, and nothing else that could say what happened.
    pub(super) error_id: bool,
}

impl Ask {
    pub(super) fn new(key: &'static str, query: &str, variables: Value) -> Self {
        Self {
            key: Some(key),
            query: query.to_owned(),
            variables,
        }
    }

    /// Sends the request, and returns the error that answers it.
    pub(super) async fn over(&self, transport: Transport, app: &TestApp) -> Told {
        let body = json!({ "query": self.query, "variables": self.variables });
        let client = Client::new(&app.url(), self.key);

        match transport {
            Transport::Post => {
                let request = client.request(Method::POST, "/graphql").json(&body);
                over_http(request).await
            }
            Transport::Get => over_http(client.request(Method::GET, &self.path())).await,
            Transport::EventStream => {
                let request = client.request(Method::POST, "/graphql").json(&body);
                over_events(request).await
            }
            Transport::WebSocket => self.over_socket(app).await,
            Transport::Rest => panic!("a GraphQL request is not one of REST"),
        }
    }

    fn path(&self) -> String {
        let mut parameters = url::form_urlencoded::Serializer::new(String::new());
        parameters.append_pair("query", &self.query);
        parameters.append_pair("variables", &self.variables.to_string());

        format!("/graphql?{}", parameters.finish())
    }

    async fn over_socket(&self, app: &TestApp) -> Told {
        let key = self.key.expect("a socket needs a key");
        let mut socket = Socket::open(&app.url(), key).await;
        socket
            .subscribe("1", &self.query, self.variables.clone())
            .await;

        told_on(&mut socket).await
    }
}

/// Returns the error that the next message of a socket tells.
pub(super) async fn told_on(socket: &mut Socket) -> Told {
    let message = socket.message().await;
    let (scope, error) = match message["type"].as_str() {
        Some("error") => (Scope::Request, &message["payload"][0]),
        Some("next") => (Scope::Field, &message["payload"]["errors"][0]),
        _ => panic!("{message}"),
    };

    Told::of(error, 101, Some(scope))
}

async fn over_http(request: RequestBuilder) -> Told {
    let request = request.header("accept", "application/graphql-response+json");
    let answer = Answer::read(request.send().await.expect("the gateway responds")).await;

    Told::of_response(&answer.body, answer.status)
}

async fn over_events(request: RequestBuilder) -> Told {
    let request = request.header("accept", "text/event-stream");
    let response = request.send().await.expect("the gateway responds");
    if response.status() != 200 {
        let answer = Answer::read(response).await;
        return Told::of_response(&answer.body, answer.status);
    }

    let text = response.text().await.expect("the stream ends");
    let data = text.lines().find_map(|line| line.strip_prefix("data: "));
    let result: Value = serde_json::from_str(data.expect("there is an event")).expect("JSON");
    Told::of_response(&result, 200)
}

/// Sends a REST request, and returns the error that answers it.
pub(super) async fn over_rest(request: RequestBuilder) -> Told {
    let answer = Answer::read(request.send().await.expect("the gateway responds")).await;
    assert_eq!(answer.headers["content-type"], "application/problem+json");

    Told {
        code: answer.code().to_owned(),
        retryable: answer.body["retryable"].as_bool().expect("a Boolean"),
        status: answer.status,
        scope: None,
        error_id: answer.body["errorId"].is_string(),
    }
}

/// Returns the close code that answers a `connection_init`.
pub(super) async fn close_code(app: &TestApp, payload: Value) -> u16 {
    let mut socket = Socket::connect(&app.url(), Some("graphql-transport-ws")).await;
    socket
        .send(json!({ "type": "connection_init", "payload": payload }))
        .await;

    match socket.try_message().await {
        Err(End::Closed(code)) => code,
        other => panic!("{other:?}"),
    }
}

impl Told {
    fn of_response(body: &Value, status: u16) -> Self {
        // Problem details, as for an event stream that could not begin.
        if body["errors"].is_null() {
            let extensions = json!({ "extensions": body });
            return Self::of(&extensions, status, Some(Scope::Request));
        }

        let scope = match body.get("data") {
            Some(_) => Scope::Field,
            None => Scope::Request,
        };
        Self::of(&body["errors"][0], status, Some(scope))
    }

    fn of(error: &Value, status: u16, scope: Option<Scope>) -> Self {
        let extensions = &error["extensions"];
        let code = extensions["code"].as_str();

        Self {
            code: code
                .unwrap_or_else(|| panic!("no code in {error}"))
                .to_owned(),
            retryable: extensions["retryable"].as_bool().expect("a Boolean"),
            status,
            scope,
            error_id: extensions["errorId"].is_string(),
        }
    }

    /// Compares with the row of a code.
    pub(super) fn check(&self, code: Code, transport: Transport) {
        let row = code.row();
        let shown = format!("{code:?} over {transport:?}: {self:?}");

        assert_eq!(self.code, row.name, "{shown}");
        assert_eq!(self.retryable, row.retryable, "{shown}");
        assert_eq!(self.error_id, code == Code::Internal, "{shown}");
        if row.effect == Effect::Unknown && code != Code::Internal {
            assert!(self.retryable, "{shown}");
        }

        match (transport, self.scope) {
            (Transport::Rest, _) => assert_eq!(self.status, row.status.as_u16(), "{shown}"),
            (_, Some(scope)) => {
                assert!(row.scope == Scope::Both || row.scope == scope, "{shown}");
                // The status speaks for the request as a whole; an event stream has begun by then, but for a request that
                // is not let in.
                if transport == Transport::Post && scope == Scope::Request {
                    assert_eq!(self.status, row.status.as_u16(), "{shown}");
                }
            }
            (_, None) => panic!("{shown}"),
        }
    }
}
