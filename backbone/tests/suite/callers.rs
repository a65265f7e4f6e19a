//! Keys and accounts that end, and calls that are kept for their repeats, on both engines.

use std::collections::HashSet;
use std::time::Duration;

use backbone::accounts::{
    Accounts, CallName, IssuedKey, KeptCall, KeyBytes, KeyHash, KeyTerms, NewKey, Role,
};
use backbone::clock::Clock;
use backbone::on_db;
use backbone::time::Timestamp;
use futures_util::future::join_all;
use uuid::Uuid;

use crate::databases::{TestDb, on_both_engines};
use crate::deals::NOW;

on_both_engines! {
    key_is_valid_until_its_end,
    keys_of_a_disabled_account_are_not_valid,
    keys_are_listed_newest_first,
    use_is_noted_at_most_once_a_minute,
    key_that_was_decided_on_is_stored_once,
    call_is_kept_for_a_day,
    calls_kept_at_the_same_time_are_one,
    old_calls_are_dropped,
}

async fn key_is_valid_until_its_end(test: TestDb) {
    let (accounts, clock) = accounts(&test);
    let account = anna(&accounts).await;
    let end = Timestamp::from_micros(NOW.as_micros() + 60_000_000);
    let terms = KeyTerms {
        label: None,
        expires_at: Some(end),
    };
    let key = accounts.issue_on(account, terms).await.expect("it is made");
    let hash = KeyHash::of(&key.key);
    let is_valid = async || {
        let holder = accounts.holder(hash).await.expect("the tables are there");
        let valid = accounts
            .still_valid(&[hash])
            .await
            .expect("the tables are there");
        assert_eq!(holder.is_some(), valid == [hash]);
        assert!(holder.is_none_or(|holder| holder.expires_at == Some(end)));
        valid == [hash]
    };

    clock.advance(Duration::from_secs(59));
    assert!(is_valid().await);
    clock.advance(Duration::from_secs(1));
    assert!(!is_valid().await);
}

async fn keys_of_a_disabled_account_are_not_valid(test: TestDb) {
    let (accounts, clock) = accounts(&test);
    let account = anna(&accounts).await;
    let hash = KeyHash::of(&issue(&accounts, account).await.key);
    let is_valid = async || {
        let holder = accounts.holder(hash).await.expect("the tables are there");
        let valid = accounts
            .still_valid(&[hash])
            .await
            .expect("the tables are there");
        let enabled = accounts.still_enabled(&[account, Uuid::from_u128(7)]).await;
        let enabled = enabled.expect("the tables are there");
        assert_eq!(
            (holder.is_some(), enabled == [account]),
            (valid == [hash], valid == [hash])
        );
        valid == [hash]
    };
    assert!(is_valid().await);

    let disabled = accounts
        .disable(account)
        .await
        .expect("the tables are there");
    assert_eq!(disabled.and_then(|account| account.disabled_at), Some(NOW));
    clock.advance(Duration::from_secs(1));
    let again = accounts
        .disable(account)
        .await
        .expect("the tables are there");
    assert_eq!(
        again.and_then(|account| account.disabled_at),
        Some(NOW),
        "once for all"
    );
    assert!(!is_valid().await);

    let enabled = accounts
        .enable(account)
        .await
        .expect("the tables are there");
    assert_eq!(enabled.map(|account| account.disabled_at), Some(None));
    assert!(is_valid().await);

    let nobody = Uuid::from_u128(9);
    assert_eq!(
        accounts
            .disable(nobody)
            .await
            .expect("the tables are there"),
        None
    );
    assert_eq!(
        accounts.enable(nobody).await.expect("the tables are there"),
        None
    );
}

async fn keys_are_listed_newest_first(test: TestDb) {
    let (accounts, clock) = accounts(&test);
    let account = anna(&accounts).await;
    let other = anna(&accounts).await;
    issue(&accounts, other).await;

    let first = issue(&accounts, account).await;
    clock.advance(Duration::from_secs(1));
    let second = accounts
        .issue(account, Some("laptop"))
        .await
        .expect("it is made");
    accounts
        .revoke(first.id)
        .await
        .expect("the tables are there");

    let keys = accounts
        .keys_of(account)
        .await
        .expect("the tables are there");
    let listed: Vec<_> = keys
        .iter()
        .map(|key| (key.id, key.label.as_deref(), key.revoked_at.is_some()))
        .collect();
    assert_eq!(
        listed,
        [(second.id, Some("laptop"), false), (first.id, None, true)]
    );
}

async fn use_is_noted_at_most_once_a_minute(test: TestDb) {
    let (accounts, _) = accounts(&test);
    let account = anna(&accounts).await;
    let key = issue(&accounts, account).await.id;
    let at = |seconds: i64| Timestamp::from_micros(NOW.as_micros() + seconds * 1_000_000);
    let note = async |seconds| {
        let nobody = (Uuid::from_u128(9), NOW);
        let uses = [(key, at(seconds)), nobody];
        accounts
            .note_uses(&uses)
            .await
            .expect("the tables are there");
        accounts
            .keys_of(account)
            .await
            .expect("the tables are there")[0]
            .last_used_at
    };

    assert_eq!(note(0).await, Some(at(0)));
    assert_eq!(note(59).await, Some(at(0)));
    assert_eq!(note(60).await, Some(at(60)));
    assert_eq!(note(30).await, Some(at(60)), "never back");
}

async fn key_that_was_decided_on_is_stored_once(test: TestDb) {
    let (accounts, _) = accounts(&test);
    let key = NewKey {
        id: accounts.new_id(),
        account_id: anna(&accounts).await,
        bytes: KeyBytes::generate(),
        terms: KeyTerms::default(),
    };

    let stored = join_all((0..8).map(|_| accounts.put_key(key))).await;
    for issued in stored {
        let issued = issued.expect("it is stored");
        assert_eq!((issued.id, issued.key), (key.id, key.bytes.text()));
    }
    let hash = KeyHash::of(&key.bytes.text());
    let holder = accounts.holder(hash).await.expect("the tables are there");
    assert_eq!(holder.map(|holder| holder.key_id), Some(key.id));

    accounts.revoke(key.id).await.expect("the tables are there");
    accounts.put_key(key).await.expect("it is there");
    let holder = accounts.holder(hash).await.expect("the tables are there");
    assert_eq!(holder, None, "storing it again does not undo a revocation");
}

fn call(id: u128) -> KeptCall {
    KeptCall {
        request: vec![7; 32],
        result_id: Uuid::from_u128(id),
        sealed: Some(vec![1, 2, 3]),
    }
}

fn name(key: &str) -> CallName<'_> {
    CallName {
        caller: Uuid::from_u128(1),
        mutation: "issueApiKey",
        key,
    }
}

async fn call_is_kept_for_a_day(test: TestDb) {
    let (accounts, clock) = accounts(&test);
    let keep = async |id| {
        let kept = accounts.keep_call(name("k"), call(id)).await;
        kept.expect("the tables are there").result_id.as_u128()
    };
    let kept = async || {
        let kept = accounts.kept_call(name("k")).await;
        let kept = kept.expect("the tables are there");
        kept.map(|kept| kept.result_id.as_u128())
    };

    assert_eq!(kept().await, None);
    assert_eq!(keep(1).await, 1);
    clock.advance(Duration::from_hours(24) - Duration::from_micros(1));
    assert_eq!((keep(2).await, kept().await), (1, Some(1)));
    clock.advance(Duration::from_micros(1));
    assert_eq!(kept().await, None, "it is old, though not dropped yet");
    assert_eq!((keep(3).await, kept().await), (3, Some(3)));

    for other in [
        CallName {
            caller: Uuid::from_u128(2),
            ..name("k")
        },
        CallName {
            mutation: "createBuyer",
            ..name("k")
        },
        name("other"),
    ] {
        let kept = accounts
            .kept_call(other)
            .await
            .expect("the tables are there");
        assert!(kept.is_none(), "{other:?}");
    }
}

async fn calls_kept_at_the_same_time_are_one(test: TestDb) {
    let (accounts, _) = accounts(&test);
    let calls = (1..=16).map(|id| accounts.keep_call(name("k"), call(id)));

    let kept: HashSet<Uuid> = join_all(calls)
        .await
        .into_iter()
        .map(|kept| kept.expect("the tables are there").result_id)
        .collect();
    assert_eq!(kept.len(), 1);
}

async fn old_calls_are_dropped(test: TestDb) {
    let (accounts, clock) = accounts(&test);
    // More than one statement drops.
    for number in 0..1_001 {
        let key = number.to_string();
        accounts
            .keep_call(name(&key), call(1))
            .await
            .expect("the tables are there");
    }
    clock.advance(Duration::from_hours(24));
    accounts
        .keep_call(name("young"), call(2))
        .await
        .expect("the tables are there");

    accounts
        .drop_old_calls()
        .await
        .expect("the tables are there");
    let left: Vec<String> = on_db!(test.db.read(), pool =>
        sqlx::query_scalar("SELECT idempotency_key FROM kept_call").fetch_all(pool).await)
    .expect("the table can be read");
    assert_eq!(left, ["young"]);
}

async fn anna(accounts: &Accounts) -> Uuid {
    let account = accounts.create(None, Role::Seller, "Anna").await;
    account.expect("it is made").id
}

async fn issue(accounts: &Accounts, account: Uuid) -> IssuedKey {
    accounts.issue(account, None).await.expect("it is made")
}

fn accounts(test: &TestDb) -> (Accounts, Clock) {
    let clock = Clock::fixed(NOW.as_micros());
    (Accounts::new(test.db.clone(), clock.clone()), clock)
}
