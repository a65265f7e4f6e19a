//! Writes of deals: `POST /deal`, `PUT /deal` and `PUT /deal/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{OriginalUri, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use backbone::ids::DealId;
use seller_core::{DealWritten, MutationContext, Refusal};

use super::body::{self, DealBody, Target};
use super::query::{parameters, unknown};
use super::read::deal_id;
use super::refused::Refused;
use super::{caller, check_accept, limit_headers, position_header, versions};
use crate::auth::Principal;
use crate::error::Problem;
use crate::http::conditional::{Outcome, Preconditions};
use crate::http::json_body::{check_headers, decode};
use crate::http::{Public, trace};
use crate::origin::Origin;
use crate::rates::Charge;
use crate::services::Services;
use crate::standing::Standing;

/// `POST /deal`: 201 with the deal, and its path in `Location`.
pub(super) async fn create(
    State(public): State<Arc<Public>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let caller = caller(&public.services, &headers).await?;
    let seller = caller.seller()?;
    let request = Request::check(&headers, uri.query(), body)?;
    let input = body::new_deal(&request.body, seller)?;

    // What a creation is about is the list of deals, which exists and has no tag.
    if request.preconditions.evaluate(None, false) != Outcome::Proceed {
        return Err(Refused::precondition_failed());
    }

    let sellers = public.services.sellers.clone();
    let (written, standing) = write(&public.services, &caller, async move {
        sellers.create_deal(seller, input, request.context).await
    })
    .await?;
    let written = written.map_err(|refusal| Problem::refused(refusal, ""))?;

    // Below the path of the request, so that a client of /v1/deal stays with /v1.
    let location = format!("{}/{}", uri.path(), written.deal.id);
    let location = HeaderValue::from_str(&location).map_err(Problem::internal)?;

    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        limit_headers(standing),
        respond(&written),
    )
        .into_response())
}

/// `PUT /deal`: 200 with the deal, whose id is in the body. The body replaces the deal, so an absent discount removes
/// it.
pub(super) async fn replace(
    State(public): State<Arc<Public>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let caller = caller(&public.services, &headers).await?;
    caller.seller()?;
    let request = Request::check(&headers, query.as_deref(), body)?;

    replace_deal(&public, &caller, request, None).await
}

/// `PUT /deal/ID`: the same with the id in the path.
pub(super) async fn replace_at(
    State(public): State<Arc<Public>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let caller = caller(&public.services, &headers).await?;
    caller.seller()?;
    let id = deal_id(id)?;
    let request = Request::check(&headers, query.as_deref(), body)?;

    replace_deal(&public, &caller, request, Some(id)).await
}

async fn replace_deal(
    public: &Public,
    caller: &Principal,
    request: Request,
    id: Option<DealId>,
) -> Result<Response, Refused> {
    let seller = caller.seller()?;
    let admitted = versions::admitted(&request.preconditions);
    let target = Target {
        id,
        versions: admitted.clone(),
        has_if_match: request.preconditions.if_match.is_some(),
    };
    let input = body::replacement(&request.body, seller, target)?;

    let sellers = public.services.sellers.clone();
    let (written, standing) = write(&public.services, caller, async move {
        sellers.update_deal(seller, input, request.context).await
    })
    .await?;

    match written {
        Ok(written) => Ok((limit_headers(standing), respond(&written)).into_response()),
        // A version that a header excludes is a failed precondition; one that the body excludes is a conflict.
        Err(refusal @ Refusal::VersionConflict { current }) if !admitted.admit(current) => {
            Err(Refused::precondition_of(Problem::refused(refusal, "")))
        }
        Err(refusal) => Err(Problem::refused(refusal, "").into()),
    }
}

/// Everything of a write but its caller and its deal.
struct Request {
    body: Bytes,
    preconditions: Preconditions,
    context: MutationContext,
}

impl Request {
    fn check(
        headers: &HeaderMap,
        query: Option<&str>,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Self, Refused> {
        check_accept(headers)?;
        let encoding = check_headers(headers)?;
        let body = decode(encoding, body)?;
        if let Some((name, _)) = parameters(query, &[])?.first() {
            return Err(unknown(name).into());
        }

        Ok(Self {
            body,
            preconditions: Preconditions::read(headers)?,
            context: mutation_context(headers)?,
        })
    }
}

/// Runs a write in a task of its own, so that a client that leaves does not cut it off half-way. Returns the caller's
/// standing with the result.
async fn write(
    services: &Services,
    caller: &Principal,
    write: impl Future<Output = Result<DealWritten, Refusal>> + Send + 'static,
) -> Result<(Result<DealWritten, Refusal>, Option<Standing>), Problem> {
    let permit = services.admit(Some(caller), &Origin::default(), Charge::Mutations(1))?;
    let standing = permit.standing();
    let write = async move {
        let written = write.await;
        drop(permit);
        written
    };

    let written = services.lifecycle.complete("write", write).await;
    Ok((written.map_err(Problem::internal)?, standing))
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
    let tag = versions::tag(written.deal.version);

    (
        [
            position_header(written.position),
            (header::ETAG, tag.header()),
        ],
        Json(DealBody::from(&written.deal)),
    )
        .into_response()
}
