//! REST for deals: `POST`, `PUT`, `GET /deal`. The same mutations and pages as in GraphQL, with
//! enum values in lower case and errors as problem details.

mod body;
mod changes;

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{OriginalUri, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use backbone::accounts::Role;
use backbone::deal_table::{Cursor, DealFilter, DealOrder, Window};
use backbone::ids::DealId;
use seller_core::{DealWritten, MutationContext, Refusal};

pub(super) use changes::changes;

use super::json_body::json_body;
use super::{Public, principal, trace};
use crate::auth::Principal;
use crate::error::{Code, Problem};
use crate::services::Services;

/// Number of deals on a page if the caller does not give `first`.
const DEFAULT_PAGE: u32 = 20;
/// Largest number of deals on a page.
const MAX_PAGE: u32 = 100;
/// Header with the position of a write, or with the point of the log that a page shows.
const POSITION: HeaderName = HeaderName::from_static("dealwire-position");

/// `POST /deal`: 201 with the deal, and its path in `Location`.
pub(super) async fn create(
    State(public): State<Arc<Public>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let caller = caller(&public.services, &headers).await?;
    let seller = caller.seller()?;
    let input = body::new_deal(&json_body(&headers, body)?, seller)?;
    let context = mutation_context(&headers)?;

    let sellers = public.services.sellers.clone();
    let written = write(&public.services, &caller, async move {
        sellers.create_deal(seller, input, context).await
    })
    .await?;

    // Below the path of the request, so that a client of /v1/deal stays with /v1.
    let location = format!("{}/{}", uri.path(), written.deal.id);
    let location = HeaderValue::from_str(&location).map_err(Problem::internal)?;

    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        respond(&written),
    )
        .into_response())
}

/// `PUT /deal`: 200 with the deal. The body replaces the deal, so an absent discount removes it.
pub(super) async fn replace(
    State(public): State<Arc<Public>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let caller = caller(&public.services, &headers).await?;
    let seller = caller.seller()?;
    let input = body::replacement(&json_body(&headers, body)?, seller)?;
    let context = mutation_context(&headers)?;

    let sellers = public.services.sellers.clone();
    let written = write(&public.services, &caller, async move {
        sellers.update_deal(seller, input, context).await
    })
    .await?;

    Ok(respond(&written))
}

/// `GET /deal`: 200 with an array of the deals that a buyer may see, or of a seller's own. Takes
/// `?first&after`, and names the next page in `Link`.
pub(super) async fn list(
    State(public): State<Arc<Public>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let caller = caller(&public.services, &headers).await?;
    let window = window(query.as_deref().unwrap_or_default())?;

    let services = &public.services;
    let _permit = services.admission.enter(Some(&caller))?;
    let filter = DealFilter::default();
    let order = DealOrder::LastChangedFirst;

    // Administrators have no deals: `seller` refuses them with FORBIDDEN.
    let page = match caller.role() {
        Role::Buyer => {
            services
                .read(
                    services
                        .reads
                        .page(caller.buyer()?, filter, order, window, None),
                )
                .await?
        }
        _ => {
            services
                .read(
                    services
                        .sellers
                        .deals(caller.seller()?, filter, order, window),
                )
                .await?
        }
    };

    let mut response_headers = HeaderMap::new();
    let header = |text: String| HeaderValue::from_str(&text).map_err(Problem::internal);
    response_headers.insert(POSITION, header(page.position.encode())?);
    if let (true, Some(last)) = (page.has_next, page.deals.last()) {
        // A path without a host: the gateway does not know the name that its clients reach it by.
        let next = format!(
            "<{}?first={}&after={}>; rel=\"next\"",
            uri.path(),
            window.limit,
            last.cursor.encode()
        );
        response_headers.insert(header::LINK, header(next)?);
    }

    let deals: Vec<body::DealBody<'_>> = page
        .deals
        .iter()
        .map(|deal| (&*deal.deal.deal).into())
        .collect();
    Ok((response_headers, Json(deals)).into_response())
}

/// `GET /deal/ID`: 200 with the deal, or 404 if the caller may not see one with this id.
pub(super) async fn show(
    State(public): State<Arc<Public>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let services = &public.services;
    let caller = caller(services, &headers).await?;
    let _permit = services.admission.enter(Some(&caller))?;

    let missing = || {
        Problem::new(
            Code::NotFound,
            "No such deal exists, or you have no access to it",
        )
    };
    // An id that is not a UUID cannot name a deal, so it is missing rather than malformed.
    let id = id.parse().map(DealId).map_err(|_| missing())?;

    let deal = match caller.role() {
        Role::Buyer => {
            services
                .read(services.reads.deal(caller.buyer()?, id, None))
                .await?
        }
        _ => {
            services
                .read(services.sellers.deal(caller.seller()?, id))
                .await?
        }
    };

    let stored = deal.ok_or_else(missing)?;
    Ok(Json(body::DealBody::from(&*stored.deal)).into_response())
}

/// Runs a write in a task of its own, so that a client that leaves does not cut it off half-way.
async fn write(
    services: &Services,
    caller: &Principal,
    write: impl Future<Output = Result<DealWritten, Refusal>> + Send + 'static,
) -> Result<DealWritten, Problem> {
    let permit = services.admission.enter(Some(caller))?;
    let write = async move {
        let written = write.await;
        drop(permit);
        written
    };

    let written = services.lifecycle.complete("write", write).await;
    written
        .map_err(Problem::internal)?
        .map_err(|refusal| Problem::refused(refusal, ""))
}

async fn caller(services: &Services, headers: &HeaderMap) -> Result<Principal, Problem> {
    principal(services, headers)
        .await?
        .ok_or_else(|| Problem::unauthenticated("This request requires an API key"))
}

fn mutation_context(headers: &HeaderMap) -> Result<MutationContext, Problem> {
    let key = headers
        .get("idempotency-key")
        .map(HeaderValue::to_str)
        .transpose();
    let key = key.map_err(|_| {
        Problem::input(
            "Idempotency-Key",
            "must consist of visible ASCII characters",
        )
    })?;

    Ok(MutationContext {
        key: key.map(str::to_owned),
        trace: Some(trace(headers)),
    })
}

fn respond(written: &DealWritten) -> Response {
    let position =
        HeaderValue::from_str(&written.position.encode()).expect("a position is URL-safe Base64");

    (
        [(POSITION, position)],
        Json(body::DealBody::from(&written.deal)),
    )
        .into_response()
}

fn window(query: &str) -> Result<Window, Problem> {
    let mut window = Window {
        limit: DEFAULT_PAGE,
        backwards: false,
        after: None,
        before: None,
    };

    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "first" => {
                let first = value.parse().ok().filter(|first| *first <= MAX_PAGE);
                window.limit =
                    first.ok_or_else(|| Problem::input("first", "must be between 0 and 100"))?;
            }
            "after" => {
                let after = Cursor::decode(&value, DealOrder::LastChangedFirst);
                window.after = Some(after.ok_or_else(|| {
                    Problem::input("after", "must be a cursor that this API returned")
                })?);
            }
            // Refused rather than ignored: a misspelt `after` would return the first page again.
            other => return Err(Problem::input(other, "is not a parameter of this path")),
        }
    }

    Ok(window)
}
