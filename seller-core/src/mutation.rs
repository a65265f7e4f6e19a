//! The seller's mutations: each gets its identity, then goes through the write path with the rules as its decision.

use backbone::contract::{AccessFact, Deal, DealFact, Fact, Fingerprint, Subject};
use backbone::ids::{BuyerId, SellerId};
use backbone::position::Position;
use backbone::time::Timestamp;
use backbone::write_path::{Decision, Mutation, Written};

use crate::deal::{self, Identity};
use crate::{DealUpdate, MutationContext, NewDeal, Refusal, SellerSide, access, check, identity};
use backbone::FieldError;

/// A deal that was created or updated, or is as was asked already.
#[derive(Clone, Debug, PartialEq)]
pub struct DealWritten {
    /// As it stands: for a repeat, after whatever has happened since.
    pub deal: Deal,
    /// The end of the event that made this state.
    pub position: Position,
}

/// Access that was granted or revoked, or is as was asked already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessWritten {
    /// Who grants.
    pub seller: SellerId,
    /// To whom.
    pub buyer: BuyerId,
    /// When the grant that holds, or held last, was made.
    pub since: Timestamp,
    /// Whether the buyer has access.
    pub granted: bool,
    /// The end of the event that made this state.
    pub position: Position,
}

impl SellerSide {
    /// Creates a deal.
    ///
    /// # Errors
    /// Every [`Refusal`] but `NotFound` and `VersionConflict`; `AlreadyExists` only for a fixed id.
    pub async fn create_deal(
        &self,
        seller: SellerId,
        input: NewDeal,
        asked: MutationContext,
    ) -> Result<DealWritten, Refusal> {
        let mut errors = Vec::new();
        let key = usable_key(&asked, &mut errors);
        let now = self.clock.now();
        let input = input.trimmed();
        let (deal, event, key) = match input.id {
            Some(deal) => (deal, identity::creation_of_fixed(seller, deal), None),
            None => {
                let deal = identity::deal(seller, key, now);
                (
                    deal,
                    identity::event(seller, identity::CREATE_DEAL, deal, key),
                    key,
                )
            }
        };
        let identity = Identity {
            seller,
            deal,
            event,
        };
        // Nothing in the log bears on whether a creation is right, so it is decided before the log is asked.
        let deal = with(
            &errors,
            deal::create(&input, identity, now).map_err(Refusal::Invalid),
        )?;
        let mutation = Mutation {
            subject: Subject::Deal {
                seller,
                deal: identity.deal,
            },
            event_id: identity.event,
            key: key.map(fingerprint),
            request: identity::request(&input),
            trace: asked.trace,
            // A fixed id is given to find the deal that is there.
            begins: input.id.is_none(),
        };
        let decide = |last: Option<&Fact>, _| match last {
            None => Ok(Decision::Append(Fact::Deal(deal::created(
                deal.clone(),
                mutation.applied(1),
            )))),
            Some(_) => Err(Refusal::AlreadyExists),
        };
        deal_written(self.write_path.write(&mutation, decide).await?)
    }

    /// Changes a deal.
    ///
    /// # Errors
    /// Every [`Refusal`] but `AlreadyExists`.
    pub async fn update_deal(
        &self,
        seller: SellerId,
        input: DealUpdate,
        asked: MutationContext,
    ) -> Result<DealWritten, Refusal> {
        let mut errors = Vec::new();
        let key = usable_key(&asked, &mut errors);
        let input = input.trimmed();
        let mutation = Mutation {
            subject: Subject::Deal {
                seller,
                deal: input.id,
            },
            event_id: identity::event(seller, identity::UPDATE_DEAL, input.id, key),
            key: key.map(fingerprint),
            request: identity::request(&input),
            trace: asked.trace,
            begins: false,
        };
        let decide = |last: Option<&Fact>, now| {
            let last = deal_fact(last.ok_or(Refusal::NotFound)?)?;
            let changed = with(
                &errors,
                deal::update(&last.deal, &input, mutation.event_id, now),
            )?;
            Ok(changed.map_or(Decision::Unchanged, |changed| {
                let applied = mutation.applied(changed.deal.version);
                Decision::Append(Fact::Deal(deal::updated(last, changed, applied)))
            }))
        };
        deal_written(self.write_path.write(&mutation, decide).await?)
    }

    /// Grants a buyer access to the seller's deals. Whether there is such a buyer is the caller's to know.
    ///
    /// # Errors
    /// Those of the write path; `Invalid` for the idempotency key only.
    pub async fn grant_access(
        &self,
        seller: SellerId,
        buyer: BuyerId,
        asked: MutationContext,
    ) -> Result<AccessWritten, Refusal> {
        let mutation = access_mutation(identity::GRANT_ACCESS, seller, buyer, &asked)?;
        self.write_access(seller, buyer, &mutation, |last, now| {
            Ok(access::grant(last, &mutation, now))
        })
        .await
    }

    /// Takes a buyer's access back.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when the seller never granted this buyer access; else as for a grant.
    pub async fn revoke_access(
        &self,
        seller: SellerId,
        buyer: BuyerId,
        asked: MutationContext,
    ) -> Result<AccessWritten, Refusal> {
        let mutation = access_mutation(identity::REVOKE_ACCESS, seller, buyer, &asked)?;
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

fn access_mutation(
    name: &str,
    seller: SellerId,
    buyer: BuyerId,
    asked: &MutationContext,
) -> Result<Mutation, Refusal> {
    let mut errors = Vec::new();
    let key = usable_key(asked, &mut errors);
    with(&errors, Ok(()))?;
    Ok(Mutation {
        subject: Subject::Access { seller, buyer },
        event_id: identity::event(seller, name, buyer, key),
        key: key.map(fingerprint),
        request: identity::request(&buyer),
        trace: asked.trace,
        begins: false,
    })
}

fn deal_written(written: Written) -> Result<DealWritten, Refusal> {
    match written.fact {
        Fact::Deal(fact) => Ok(DealWritten {
            deal: fact.deal,
            position: written.position,
        }),
        _ => Err(misplaced()),
    }
}

fn deal_fact(fact: &Fact) -> Result<&DealFact, Refusal> {
    match fact {
        Fact::Deal(fact) => Ok(fact),
        _ => Err(misplaced()),
    }
}

fn access_fact(fact: &Fact) -> Result<&AccessFact, Refusal> {
    match fact {
        Fact::Access(fact) => Ok(fact),
        _ => Err(misplaced()),
    }
}

fn misplaced() -> Refusal {
    Refusal::Broken("an event stands on a subject of another kind".to_owned())
}

/// The caller's key, if there is one and it is none of the violations.
fn usable_key<'a>(asked: &'a MutationContext, errors: &mut Vec<FieldError>) -> Option<&'a str> {
    let key = asked.key.as_deref()?;
    check::key(key, errors);
    errors.is_empty().then_some(key)
}

fn fingerprint(key: &str) -> Fingerprint {
    Fingerprint::of(key.as_bytes())
}

/// What the rules say, together with violations that were found beside the input.
fn with<T>(errors: &[FieldError], ruled: Result<T, Refusal>) -> Result<T, Refusal> {
    match ruled {
        ruled if errors.is_empty() => ruled,
        Err(Refusal::Invalid(more)) => Err(Refusal::Invalid([errors, &more].concat())),
        _ => Err(Refusal::Invalid(errors.to_vec())),
    }
}
