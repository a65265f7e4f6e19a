//! Protection of visitors' browsers: refuses requests that another site's page makes, answers its questions (CORS), and
//! adds security headers to every response.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use super::websocket;
use crate::browser::{BrowserRules, Origins};
use crate::error::{Code, Problem};

/// Time for which a browser may keep the answer to its question whether a page may send a request.
const PREFLIGHT_AGE: Duration = Duration::from_hours(1);

/// Headers of responses that pages of other origins may read.
const EXPOSED: [HeaderName; 6] = [
    header::ETAG,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
];

/// Puts the rules for pages in front of routes.
pub fn guarded(routes: Router, rules: &BrowserRules) -> Router {
    let routes = match rules.origins() {
        // Without the layer no header tells a browser that a page of another origin may read a response.
        Origins::These(origins) if origins.is_empty() => routes,
        origins => routes.layer(cors(origins)),
    };

    routes
        .layer(from_fn_with_state(Arc::new(rules.clone()), check))
        .layer(from_fn(add_headers))
}

fn cors(origins: &Origins) -> CorsLayer {
    let origins = match origins {
        Origins::Any => AllowOrigin::any(),
        Origins::These(origins) => {
            let values = origins.iter().map(|origin| HeaderValue::from_str(origin));
            AllowOrigin::list(values.filter_map(Result::ok))
        }
    };

    // No cookies are used, so a page can send nothing but what it knows by itself: any header and method may come.
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(PREFLIGHT_AGE)
}

/// Refuses a request that names a foreign host, or that a page of a foreign origin sends to change something.
async fn check(State(rules): State<Arc<BrowserRules>>, request: Request, next: Next) -> Response {
    let host = host(&request);
    // Browsers always name a host. What names none, by an old version of HTTP, is none of them.
    if let Some(host) = host
        && !rules.accepts_host(host)
    {
        let message = "This server is not reached by this host name; an operator can add it with \
                       --public-host";
        let problem = Problem::new(Code::BadRequest, message);
        return problem.with_status(StatusCode::MISDIRECTED_REQUEST);
    }

    let origin = request.headers().get(header::ORIGIN);
    let is_accepted = origin.is_none_or(|origin| {
        let origin = origin.to_str().ok();
        origin.is_some_and(|origin| rules.accepts_origin(origin, host))
    });
    if !is_accepted && needs_origin(&request) {
        let message = "Pages of this origin may not use the API; an operator can allow it with \
                       --cors-origin";
        return Problem::forbidden(message).into_response();
    }

    next.run(request).await
}

/// Returns the host that a request names: in its target (HTTP/2 and proxies), or in the header.
fn host(request: &Request) -> Option<&str> {
    let target = request.uri().authority().map(|target| target.as_str());
    let header = request.headers().get(header::HOST);

    // A name that is not text is refused as one that is not known.
    target.or_else(|| header.map(|host| host.to_str().unwrap_or_default()))
}

/// Returns whether a request can change something, or opens a websocket, which browsers allow to every page.
fn needs_origin(request: &Request) -> bool {
    let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());

    !is_safe || websocket::is_requested(request.headers())
}

async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let is_unauthorized = response.status() == StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();

    add(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(headers, header::REFERRER_POLICY, "no-referrer");
    let resource_policy = HeaderName::from_static("cross-origin-resource-policy");
    add(headers, resource_policy, "same-origin");
    // A 401 without a challenge is not allowed (RFC 9110, section 15.5.2), in whatever form the error is told.
    if is_unauthorized {
        add(headers, header::WWW_AUTHENTICATE, "Bearer");
    }
    response
}

/// Adds a header unless the response has it.
fn add(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers
        .entry(name)
        .or_insert(HeaderValue::from_static(value));
}
