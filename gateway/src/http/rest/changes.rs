//! `GET /changes`: the feed by pull, for jobs and backends.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use backbone::FieldError;
use backbone::contract::{DealField, DealStatus};
use backbone::deal_table::DealFilter;
use backbone::ids::SellerId;
use backbone::money::MinorUnits;
use backbone::position::Position;
use buyer_core::feed::ChangeBody;
use live::{ChangeFilter, ChangeKind, Pulled, PushedChange, Subscription};
use serde::Serialize;

use super::body::DealBody;
use super::query::{parameters, unknown};
use super::refused::Refused;
use super::{admit, caller, check_accept, conditional, limit_headers};
use crate::error::Problem;
use crate::http::Public;
use crate::http::conditional::Preconditions;
use crate::services::PullWindow;

/// Parameters that may be given more than once.
const REPEATABLE: [&str; 2] = ["sellerId", "status"];

/// `GET /changes?after=POSITION`: 200 with the changes that `dealChanged` would have pushed after a position. Takes `first`
/// and `wait` as the query `changes` does, and as a filter `sellerId` and `status`, each as often as wanted, `currency`,
/// `minTotalPrice` and `maxTotalPrice`.
pub(super) async fn changes(
    State(public): State<Arc<Public>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let services = &public.services;
    let caller = caller(services, &headers).await?;
    let viewer = caller.viewer()?;
    check_accept(&headers)?;
    let request = Request::read(query.as_deref())?;
    let preconditions = Preconditions::read(&headers)?;
    let permit = admit(services, &caller, request.window.first as u64)?;

    let subscription = Subscription {
        viewer,
        filter: ChangeFilter::Deals(request.filter),
        after: Some(request.after),
        conflate: None,
    };
    let PullWindow { first, wait } = request.window;
    let pulled = services.feed.pull(subscription, first, wait).await;
    let pulled = pulled.map_err(Problem::from)?;

    let limits = limit_headers(permit.standing());
    let full = || (limits, Json(page(&pulled))).into_response();
    conditional(&preconditions, None, full, Refused::precondition_failed)
}

pub(super) struct Request {
    after: Position,
    filter: DealFilter,
    window: PullWindow,
}

impl Request {
    /// Reads the parameters.
    ///
    /// # Errors
    /// BAD_USER_INPUT with every violation, or with the first parameter that does not exist.
    pub(super) fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut reader = Reader::default();
        let mut filter = DealFilter::default();
        let mut after = None;
        let mut window = [None; 2];

        for (name, value) in parameters(query, &REPEATABLE)? {
            let text = value.as_ref();
            match name.as_ref() {
                "after" => after = reader.take("after", Position::decode(text), "a position"),
                "first" => window[0] = reader.take("first", text.parse().ok(), "a number"),
                "wait" => window[1] = reader.take("wait", text.parse().ok(), "a number of seconds"),
                "sellerId" => {
                    let seller = text.parse().ok().map(SellerId);
                    let seller = reader.take("sellerId", seller, "a UUID");
                    filter.seller_ids.get_or_insert_default().extend(seller);
                }
                "status" => {
                    let status: Option<DealStatus> = text.to_ascii_uppercase().parse().ok();
                    let status = reader.take("status", status, "a status");
                    filter.statuses.get_or_insert_default().extend(status);
                }
                "currency" => {
                    filter.currency =
                        reader.take("currency", text.parse().ok(), "an ISO 4217 code");
                }
                "minTotalPrice" => filter.min_total_price = reader.price("minTotalPrice", text),
                "maxTotalPrice" => filter.max_total_price = reader.price("maxTotalPrice", text),
                other => return Err(unknown(other)),
            }
        }

        let has_price = filter.min_total_price.is_some() || filter.max_total_price.is_some();
        if has_price && filter.currency.is_none() {
            // Amounts of different currencies do not compare.
            reader.fail("currency", "is required with a price");
        }
        if after.is_none() && !reader.has_failed("after") {
            reader.fail("after", "is required");
        }

        let [first, wait] = window;
        reader.finish()?;
        Ok(Self {
            after: after.ok_or_else(|| Problem::input("after", "is required"))?,
            filter,
            window: PullWindow::check(first, wait)?,
        })
    }
}

/// Violations of the parameters.
#[derive(Default)]
struct Reader(Vec<FieldError>);

impl Reader {
    fn take<T>(&mut self, name: &str, value: Option<T>, what: &str) -> Option<T> {
        if value.is_none() {
            self.fail(name, &format!("must be {what}"));
        }
        value
    }

    fn price(&mut self, name: &str, text: &str) -> Option<MinorUnits> {
        let units = text.parse().ok().and_then(MinorUnits::new);

        self.take(name, units, "between 0 and 2^53-1")
    }

    fn fail(&mut self, name: &str, message: &str) {
        self.0.push(FieldError::new(name, message));
    }

    fn has_failed(&self, name: &str) -> bool {
        self.0.iter().any(|error| error.path == name)
    }

    fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Problem::inputs(self.0))
        }
    }
}

/// Page of changes in the form that REST shows.
#[derive(Serialize)]
struct PageBody<'a> {
    changes: Vec<ChangeEntry<'a>>,
    position: String,
    more: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeEntry<'a> {
    r#type: &'static str,
    deal: DealBody<'a>,
    changed_fields: Vec<&'static str>,
    position: String,
}

fn page(pulled: &Pulled) -> PageBody<'_> {
    PageBody {
        changes: pulled.changes.iter().filter_map(entry).collect(),
        position: pulled.position.encode(),
        more: pulled.more,
    }
}

fn entry(pushed: &PushedChange) -> Option<ChangeEntry<'_>> {
    let ChangeBody::Deal { deal, changed, .. } = &pushed.shown.change.body else {
        return None;
    };

    Some(ChangeEntry {
        r#type: match pushed.shown.kind {
            ChangeKind::Created => "created",
            ChangeKind::Updated => "updated",
            ChangeKind::Left => "left",
        },
        deal: (&**deal).into(),
        changed_fields: changed.iter().map(|field| property(*field)).collect(),
        position: pushed.position().encode(),
    })
}

/// Returns the name of a field as the deal's own property has it.
pub(super) fn property(field: DealField) -> &'static str {
    match field {
        DealField::Name => "name",
        DealField::TotalPrice => "totalPrice",
        DealField::Status => "status",
        DealField::Discount => "discount",
        DealField::Items => "items",
    }
}
