//! Reads of deals: `GET /deal` and `GET /deal/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{OriginalUri, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use backbone::accounts::Role;
use backbone::deal_table::{Cursor, DealFilter, DealOrder, Page, StoredDeal, Window};
use backbone::ids::DealId;
use backbone::position::Position;
use seller_core::Refusal;

use super::body::DealBody;
use super::query::{parameters, unknown};
use super::refused::Refused;
use super::{
    admit, caller, check_accept, check_reader, conditional, limit_headers, position_header,
    versions,
};
use crate::auth::Principal;
use crate::error::{Code, Problem};
use crate::http::Public;
use crate::http::conditional::Preconditions;
use crate::services::{Services, min_position};

/// Number of deals on a page if the caller does not give `first`.
const DEFAULT_PAGE: u32 = 20;
/// Largest number of deals on a page.
const MAX_PAGE: u32 = 100;

/// `GET /deal`: 200 with an array of the deals that a buyer may see, or of a seller's own. Takes
/// `?first&after&minPosition`, and names the next page in `Link`.
pub(super) async fn list(
    State(public): State<Arc<Public>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let services = &public.services;
    let caller = caller(services, &headers).await?;
    check_reader(&caller)?;
    check_accept(&headers)?;
    let request = ListRequest::read(query.as_deref())?;
    let preconditions = Preconditions::read(&headers)?;

    let permit = admit(services, &caller, u64::from(request.window.limit))?;
    let page = page(services, &caller, request).await?;

    let mut response_headers = limit_headers(permit.standing());
    response_headers.extend([position_header(page.position)]);
    if let (true, Some(last)) = (page.has_next, page.deals.last()) {
        // A path without a host: the gateway does not know the name that its clients reach it by.
        let path = uri.path();
        let first = request.window.limit;
        let after = last.cursor.encode();
        let next = format!("<{path}?first={first}&after={after}>; rel=\"next\"");
        let next = HeaderValue::from_str(&next).map_err(Problem::internal)?;
        response_headers.insert(header::LINK, next);
    }

    let full = || {
        let deals: Vec<DealBody<'_>> = page
            .deals
            .iter()
            .map(|deal| (&*deal.deal.deal).into())
            .collect();
        (response_headers, Json(deals)).into_response()
    };
    // A page has no tag: what it holds depends on more than one deal.
    conditional(&preconditions, None, full, Refused::precondition_failed)
}

/// `GET /deal/ID`: 200 with the deal, or 404 if the caller may not see one with this id.
pub(super) async fn show(
    State(public): State<Arc<Public>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let services = &public.services;
    let caller = caller(services, &headers).await?;
    check_reader(&caller)?;
    check_accept(&headers)?;
    let position = read_min_position(query.as_deref())?;
    let preconditions = Preconditions::read(&headers)?;

    let id = deal_id(id)?;
    let permit = admit(services, &caller, 1)?;
    let stored = visible_deal(services, &caller, id, position).await?;
    let deal = &*stored.ok_or_else(missing)?.deal;

    let tag = versions::tag(deal.version);
    let limits = limit_headers(permit.standing());
    let full = || (limits, Json(DealBody::from(deal))).into_response();
    let failed = || {
        let current = deal.version;
        Refused::precondition_of(Problem::refused(Refusal::VersionConflict { current }, ""))
    };
    conditional(&preconditions, Some(&tag), full, failed)
}

/// Reads the id in a path. One that is not a UUID cannot name a deal, so it is missing rather than malformed.
///
/// # Errors
/// NOT_FOUND.
pub(super) fn deal_id(id: Result<Path<String>, PathRejection>) -> Result<DealId, Problem> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok());
    id.map(DealId).ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::new(
        Code::NotFound,
        "No such deal exists, or you have no access to it",
    )
}

async fn page(
    services: &Services,
    caller: &Principal,
    request: ListRequest,
) -> Result<Page, Problem> {
    let ListRequest { window, position } = request;
    let filter = DealFilter::default();
    let order = DealOrder::LastChangedFirst;

    match caller.role() {
        Role::Buyer => {
            let buyer = caller.buyer()?;
            let page = services.reads.page(buyer, filter, order, window, position);
            services.read(page).await
        }
        _ => {
            services.reach_position(caller, position).await?;
            let page = services
                .sellers
                .deals(caller.seller()?, filter, order, window);
            services.read(page).await
        }
    }
}

async fn visible_deal(
    services: &Services,
    caller: &Principal,
    id: DealId,
    position: Option<Position>,
) -> Result<Option<StoredDeal>, Problem> {
    match caller.role() {
        Role::Buyer => {
            let deal = services.reads.deal(caller.buyer()?, id, position);
            services.read(deal).await
        }
        _ => {
            services.reach_position(caller, position).await?;
            let deal = services.sellers.deal(caller.seller()?, id);
            services.read(deal).await
        }
    }
}

/// Parameters of a page.
#[derive(Clone, Copy)]
pub(super) struct ListRequest {
    window: Window,
    position: Option<Position>,
}

impl ListRequest {
    /// Reads the parameters.
    ///
    /// # Errors
    /// BAD_USER_INPUT with the first parameter that is out of range or does not exist.
    pub(super) fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut window = Window {
            limit: DEFAULT_PAGE,
            backwards: false,
            after: None,
            before: None,
        };
        let mut position = None;

        for (name, value) in parameters(query, &[])? {
            match name.as_ref() {
                "first" => {
                    let first = value.parse().ok().filter(|first| *first <= MAX_PAGE);
                    window.limit = first
                        .ok_or_else(|| Problem::input("first", "must be between 0 and 100"))?;
                }
                "after" => {
                    let after = Cursor::decode(&value, DealOrder::LastChangedFirst);
                    window.after = Some(after.ok_or_else(|| {
                        Problem::input("after", "must be a cursor that this API returned")
                    })?);
                }
                "minPosition" => position = min_position(Some(&value))?,
                other => return Err(unknown(other)),
            }
        }

        Ok(Self { window, position })
    }
}

/// Reads the only parameter of a deal's path.
fn read_min_position(query: Option<&str>) -> Result<Option<Position>, Problem> {
    let mut position = None;
    for (name, value) in parameters(query, &[])? {
        match name.as_ref() {
            "minPosition" => position = min_position(Some(&value))?,
            other => return Err(unknown(other)),
        }
    }

    Ok(position)
}
