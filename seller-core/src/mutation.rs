//! The seller's mutations: each gets its ids, then goes through the write path with the rules as
//! its decision.

use backbone::FieldError;
use backbone::contract::{AccessFact, Deal, DealFact, Fact, Fingerprint, Subject};
use backbone::ids::{BuyerId, SellerId};
use backbone::position::Position;
use backbone::time::Timestamp;
use backbone::write_path::{Decision, Mutation, Written};

use crate::deal::{self, Identity};
use crate::input::{DealUpdate, MutationContext, NewDeal};
use crate::refusal::Refusal;
use crate::seller_side::SellerSide;
use crate::{access, check, identity};

/// Result of a mutation of a deal, whether it changed the deal or found it as requested.
#[derive(Clone, Debug, PartialEq)]
pub struct DealWritten {
    /// The current deal. A repeat returns it with all changes made since the first call.
    pub deal: Deal,
    /// Position just after the event that produced this state.
    pub position: Position,
}

/// Result of a mutation of access, whether it changed the access or found it as requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessWritten {
    /// Seller who grants the access.
    pub seller: SellerId,
    /// Buyer who has or had the access.
    pub buyer: BuyerId,
    /// Time of the grant that holds, or that held last.
    pub since: Timestamp,
    /// True when the buyer has access now.
    pub granted: bool,
    /// Position just after the event that produced this state.
    pub position: Position,
}

impl SellerSide {
    /// Creates a deal. With an idempotency key, a repeat returns the deal that the first call
    /// created.
    ///
    /// # Errors
    /// Every [`Refusal`] except `NotFound` and `VersionConflict`; `AlreadyExists` only for a fixed
    /// id.
    pub async fn create_deal(
        &self,
        seller: SellerId,
        input: NewDeal,
        context: MutationContext,
    ) -> Result<DealWritten, Refusal> {
        let mut errors = Vec::new();
        let key = valid_key(&context, &mut errors);

        // Trimmed before anything derives from it: a repeat that differs only in surrounding space
        // is the same request.
        let now = self.clock.now();
        let input = input.trimmed();

        // A fixed id identifies the creation by itself: a key beside it could only contradict it.
        let key = if input.id.is_some() { None } else { key };
        let identity = creation_identity(seller, &input, key, now);

        // No event of the log bears on whether a creation is valid, so it is decided before the log
        // is read.
        let created = deal::create(&input, identity, now).map_err(Refusal::Invalid);
        let deal = with_violations(&errors, created)?;

        let mutation = Mutation {
            subject: Subject::Deal {
                seller,
                deal: identity.deal,
            },
            event_id: identity.event,
            key: key.map(fingerprint),
            request: identity::request(&input),
            trace: context.trace,
            // A new id should have no events yet, so the first append is tried without reading. A
            // fixed id is given to find the deal that may exist.
            begins: input.id.is_none(),
        };
        // A repeat does not get here: the write path recognises the event's id among the deal's
        // mutations and returns the deal. What exists under the id came from another creation.
        let decide = |last: Option<&Fact>, _| match last {
            None => Ok(Decision::Append(Fact::Deal(deal::created(
                deal.clone(),
                mutation.applied(1),
            )))),
            Some(_) => Err(Refusal::AlreadyExists),
        };

        deal_written(self.write_path.write(&mutation, decide).await?)
    }

    /// Updates a deal. An update that leaves the deal as it is appends no event.
    ///
    /// # Errors
    /// Every [`Refusal`] except `AlreadyExists`.
    pub async fn update_deal(
        &self,
        seller: SellerId,
        input: DealUpdate,
        context: MutationContext,
    ) -> Result<DealWritten, Refusal> {
        let mut errors = Vec::new();
        let key = valid_key(&context, &mut errors);
        let input = input.trimmed();

        let mutation = Mutation {
            subject: Subject::Deal {
                seller,
                deal: input.id,
            },
            event_id: identity::event(seller, identity::UPDATE_DEAL, input.id, key),
            key: key.map(fingerprint),
            request: identity::request(&input),
            trace: context.trace,
            begins: false,
        };

        // Runs again whenever another writer was first, each time on the deal's newest state.
        let decide = |last: Option<&Fact>, now| {
            let last = deal_fact(last.ok_or(Refusal::NotFound)?)?;
            let updated = deal::update(&last.deal, &input, mutation.event_id, now);
            let changed = with_violations(&errors, updated)?;

            Ok(changed.map_or(Decision::Unchanged, |changed| {
                let applied = mutation.applied(changed.deal.version);
                Decision::Append(Fact::Deal(deal::updated(last, changed, applied)))
            }))
        };

        deal_written(self.write_path.write(&mutation, decide).await?)
    }

    /// Grants a buyer access to the seller's deals. The caller checks that the buyer exists.
    ///
    /// # Errors
    /// The refusals of the write path, and [`Refusal::Invalid`] for the idempotency key.
    pub async fn grant_access(
        &self,
        seller: SellerId,
        buyer: BuyerId,
        context: MutationContext,
    ) -> Result<AccessWritten, Refusal> {
        let mutation = access_mutation(identity::GRANT_ACCESS, seller, buyer, &context)?;

        self.write_access(seller, buyer, &mutation, |last, now| {
            Ok(access::grant(last, &mutation, now))
        })
        .await
    }

    /// Revokes a buyer's access to the seller's deals.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when the seller never granted this buyer access; otherwise those of a
    /// grant.
    pub async fn revoke_access(
        &self,
        seller: SellerId,
        buyer: BuyerId,
        context: MutationContext,
    ) -> Result<AccessWritten, Refusal> {
        let mutation = access_mutation(identity::REVOKE_ACCESS, seller, buyer, &context)?;

        self.write_access(seller, buyer, &mutation, |last, _| {
            access::revoke(last, &mutation)
        })
        .await
    }

    async fn write_access(
        &self,
        seller: SellerId,
        buyer: BuyerId,
        mutation: &Mutation,
        rule: impl Fn(Option<&AccessFact>, Timestamp) -> Result<Option<AccessFact>, Refusal>,
    ) -> Result<AccessWritten, Refusal> {
        let decide = |last: Option<&Fact>, now| {
            let fact = rule(last.map(access_fact).transpose()?, now)?;

            Ok(fact.map_or(Decision::Unchanged, |fact| {
                Decision::Append(Fact::Access(fact))
            }))
        };

        // What is returned is the fact in the log, not the one decided here: for a repeat they
        // differ.
        let Written { fact, position } = self.write_path.write(mutation, decide).await?;
        let AccessFact { since, granted, .. } = *access_fact(&fact)?;

        Ok(AccessWritten {
            seller,
            buyer,
            since,
            granted,
            position,
        })
    }
}

fn creation_identity(
    seller: SellerId,
    input: &NewDeal,
    key: Option<&str>,
    now: Timestamp,
) -> Identity {
    if let Some(deal) = input.id {
        let event = identity::fixed_creation(seller, deal);
        return Identity {
            seller,
            deal,
            event,
        };
    }

    let deal = identity::deal(seller, key, now);
    let event = identity::event(seller, identity::CREATE_DEAL, deal, key);

    Identity {
        seller,
        deal,
        event,
    }
}

fn access_mutation(
    name: &str,
    seller: SellerId,
    buyer: BuyerId,
    context: &MutationContext,
) -> Result<Mutation, Refusal> {
    let mut errors = Vec::new();
    let key = valid_key(context, &mut errors);

    // Access has no other input that could be invalid, so the violations of the key are all there
    // are.
    with_violations(&errors, Ok(()))?;

    Ok(Mutation {
        subject: Subject::Access { seller, buyer },
        event_id: identity::event(seller, name, buyer, key),
        key: key.map(fingerprint),
        request: identity::request(&buyer),
        trace: context.trace,
        begins: false,
    })
}

fn deal_written(written: Written) -> Result<DealWritten, Refusal> {
    match written.fact {
        Fact::Deal(fact) => Ok(DealWritten {
            deal: fact.deal,
            position: written.position,
        }),
        _ => Err(wrong_kind()),
    }
}

fn deal_fact(fact: &Fact) -> Result<&DealFact, Refusal> {
    match fact {
        Fact::Deal(fact) => Ok(fact),
        _ => Err(wrong_kind()),
    }
}

fn access_fact(fact: &Fact) -> Result<&AccessFact, Refusal> {
    match fact {
        Fact::Access(fact) => Ok(fact),
        _ => Err(wrong_kind()),
    }
}

fn wrong_kind() -> Refusal {
    Refusal::Broken("an event is stored under a subject of another kind".to_owned())
}

/// Returns the caller's idempotency key if there is one and it is valid.
fn valid_key<'a>(context: &'a MutationContext, errors: &mut Vec<FieldError>) -> Option<&'a str> {
    let key = context.key.as_deref()?;
    check::key(key, errors);

    // An invalid key must not become part of an id, though the request goes on so that all
    // violations are found.

    errors.is_empty().then_some(key)
}

fn fingerprint(key: &str) -> Fingerprint {
    Fingerprint::of(key.as_bytes())
}

/// Adds violations that were found outside the rules to what the rules decided, so that the caller
/// hears of all at once.
///
/// Other refusals give way to the violations: a request that must be corrected first need not learn
/// of them.
fn with_violations<T>(errors: &[FieldError], decided: Result<T, Refusal>) -> Result<T, Refusal> {
    if errors.is_empty() {
        return decided;
    }

    match decided {
        Err(Refusal::Invalid(more)) => Err(Refusal::Invalid([errors, &more].concat())),
        _ => Err(Refusal::Invalid(errors.to_vec())),
    }
}
