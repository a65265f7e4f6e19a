//! Access: grants and revocations, pages of grants, and pairs with dead events.

use backbone::contract::{AccessCause, AccessFact, Fact, Subject};
use backbone::ids::BuyerId;
use seller_core::{AccessPage, AccessWindow, AccessWritten, Grant, MutationContext, Refusal};

use crate::market::{ANN, BOB, Market, buyer, keyed};

on_both_backends!(
    access_is_granted_revoked_and_granted_again,
    access_that_is_already_as_requested_makes_no_event,
    page_shows_the_grants_that_hold_in_order,
    dead_event_ends_access_until_a_repair,
    dead_first_event_leaves_a_pair_without_access,
    invalid_idempotency_key_is_refused,
);

async fn access_is_granted_revoked_and_granted_again(market: Market) {
    let granted = market.grant(buyer(1)).await;
    let since = market.clock.now();
    let head = market.log.head().await.unwrap();
    let AccessWritten {
        seller,
        buyer: granted_to,
        position,
        ..
    } = granted;
    assert_eq!(
        (seller, granted_to, granted.granted, granted.since),
        (ANN, buyer(1), true, since)
    );
    assert_eq!(position.sequence, head);
    market.catch_up().await;
    assert_eq!(
        market.granted().await,
        [Grant {
            buyer: buyer(1),
            since
        }]
    );

    market.clock.advance(std::time::Duration::from_secs(1));
    let revoked = market.revoke(buyer(1)).await;
    assert_eq!(
        (revoked.granted, revoked.since),
        (false, since),
        "time of the grant that held last"
    );
    market.catch_up().await;
    assert_eq!(market.granted().await, []);

    let again = market.grant(buyer(1)).await;
    assert_eq!((again.granted, again.since), (true, market.clock.now()));
    market.catch_up().await;
    assert_eq!(
        market.granted().await,
        [Grant {
            buyer: buyer(1),
            since: again.since
        }]
    );
    let Fact::Access(fact) = market.fact(again.position).await else {
        panic!("no access event")
    };
    assert_eq!((fact.cause, fact.revision), (AccessCause::Granted, 3));
}

async fn access_that_is_already_as_requested_makes_no_event(market: Market) {
    let never = market
        .side
        .revoke_access(ANN, buyer(1), MutationContext::default())
        .await;
    assert_eq!(never, Err(Refusal::NotFound));
    let granted = market.grant(buyer(1)).await;
    market.grant(buyer(2)).await;
    market.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(market.grant(buyer(1)).await, granted);
    let revoked = market.revoke(buyer(1)).await;
    assert_eq!(market.revoke(buyer(1)).await, revoked);
    assert_eq!(market.log.head().await.unwrap(), revoked.position.sequence);
}

async fn page_shows_the_grants_that_hold_in_order(market: Market) {
    for number in [5, 3, 1, 4, 2] {
        market.grant(buyer(number)).await;
    }
    market
        .side
        .grant_access(BOB, buyer(6), MutationContext::default())
        .await
        .unwrap();
    market.revoke(buyer(3)).await;
    market.catch_up().await;
    let page = async |limit, after: Option<BuyerId>| {
        let AccessPage { grants, has_next } = market
            .side
            .grants(ANN, AccessWindow { limit, after })
            .await
            .unwrap();
        (
            grants
                .into_iter()
                .map(|granted| granted.buyer.0.as_u128())
                .collect::<Vec<_>>(),
            has_next,
        )
    };
    assert_eq!(page(2, None).await, (vec![1, 2], true));
    assert_eq!(page(2, Some(buyer(2))).await, (vec![4, 5], false));
    assert_eq!(
        page(1, Some(buyer(3))).await,
        (vec![4], true),
        "after a buyer that has no access"
    );
    assert_eq!(page(2, Some(buyer(5))).await, (vec![], false));
    assert_eq!(page(0, None).await, (vec![], true));
}

/// Returns a fact that grants access at a revision, which is dead unless the revision is the next.
fn forced(market: &Market, like: &AccessFact, cause: AccessCause, revision: u64) -> Fact {
    Fact::Access(AccessFact {
        cause,
        revision,
        granted: true,
        since: market.clock.now(),
        recent: like.recent.clone(),
        mutation: None,
        operator: None,
    })
}

async fn dead_event_ends_access_until_a_repair(market: Market) {
    let subject = Subject::Access {
        seller: ANN,
        buyer: buyer(1),
    };
    let granted = market.grant(buyer(1)).await;
    let Fact::Access(first) = market.fact(granted.position).await else {
        panic!("no access event")
    };
    market.grant(buyer(2)).await;
    let others = [Grant {
        buyer: buyer(2),
        since: market.clock.now(),
    }];

    // Dead in the batch of the grant that it ends.
    market
        .force(subject, forced(&market, &first, AccessCause::Granted, 7))
        .await;
    market.catch_up().await;
    assert_eq!(market.granted().await, others);

    // Later events of the pair do not grant access again, even in a batch of their own.
    market
        .force(subject, forced(&market, &first, AccessCause::Granted, 2))
        .await;
    market.catch_up().await;
    assert_eq!(market.granted().await, others);
    market
        .force(subject, forced(&market, &first, AccessCause::Repaired, 9))
        .await;
    market.catch_up().await;
    assert_eq!(market.granted().await.len(), 2);

    // Events after the repair are applied: the tables are at its revision.
    market.revoke(buyer(1)).await;
    market.catch_up().await;
    assert_eq!(market.granted().await, others);
    market.grant(buyer(1)).await;
    market.catch_up().await;
    assert_eq!(market.granted().await.len(), 2);

    // Dead in a later batch than the grant.
    market
        .force(subject, forced(&market, &first, AccessCause::Granted, 99))
        .await;
    market.catch_up().await;
    assert_eq!(market.granted().await, others);
}

async fn dead_first_event_leaves_a_pair_without_access(market: Market) {
    let granted = market.grant(buyer(2)).await;
    let Fact::Access(like) = market.fact(granted.position).await else {
        panic!("no access event")
    };
    let subject = Subject::Access {
        seller: ANN,
        buyer: buyer(1),
    };
    market
        .force(subject, forced(&market, &like, AccessCause::Granted, 2))
        .await;
    market.catch_up().await;
    assert_eq!(
        market.granted().await,
        [Grant {
            buyer: buyer(2),
            since: granted.since
        }]
    );
    market.clock.advance(std::time::Duration::from_secs(1));
    market
        .force(subject, forced(&market, &like, AccessCause::Repaired, 3))
        .await;
    market.catch_up().await;
    assert_eq!(
        market.granted().await[0],
        Grant {
            buyer: buyer(1),
            since: market.clock.now()
        }
    );
}

async fn invalid_idempotency_key_is_refused(market: Market) {
    let head = market.log.head().await.unwrap();
    let refused = market.side.grant_access(ANN, buyer(1), keyed("\0")).await;
    let Err(Refusal::Invalid(errors)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(errors[0].path, "idempotencyKey");
    assert_eq!(market.log.head().await.unwrap(), head);
}
