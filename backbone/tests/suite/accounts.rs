//! Accounts and keys on both engines.

use std::collections::HashSet;
use std::time::Duration;

use backbone::accounts::{Accounts, KeyHash, KeyHolder, Role};
use backbone::clock::Clock;
use backbone::{Error, on_db};
use uuid::Uuid;

use crate::databases::{TestDb, on_both_engines};
use crate::deals::NOW;

on_both_engines! {
    account_is_created_once_under_its_id,
    key_is_shown_once_and_recognised_by_its_hash,
    key_authenticates_nobody_once_it_is_revoked,
    keys_are_valid_only_if_they_exist_and_are_not_revoked,
    key_with_a_known_text_is_stored_once,
    key_cannot_be_issued_without_an_account,
}

async fn account_is_created_once_under_its_id(test: TestDb) {
    let (accounts, clock) = accounts(&test);
    assert!(!accounts.any().await.expect("the tables are there"));
    let id = Uuid::from_u128(7);
    let made = accounts
        .create(Some(id), Role::Seller, "Anna")
        .await
        .expect("it is made");

    assert_eq!(
        (made.id, made.role, made.name.as_str(), made.created_at),
        (id, Role::Seller, "Anna", NOW)
    );

    clock.advance(Duration::from_secs(1));
    let again = accounts
        .create(Some(id), Role::Admin, "Boris")
        .await
        .expect("it is there");

    assert_eq!(again, made, "as it stands");

    let other = accounts
        .create(None, Role::Seller, "Naïve 💥")
        .await
        .expect("it is made");

    assert_ne!(other.id, id);
    assert_eq!(
        accounts.find(other.id).await.expect("the tables are there"),
        Some(other)
    );

    assert_eq!(
        accounts
            .find(Uuid::from_u128(8))
            .await
            .expect("the tables are there"),
        None
    );

    assert_eq!(
        accounts
            .first_of(Role::Seller)
            .await
            .expect("the tables are there"),
        Some(made)
    );

    assert_eq!(
        accounts
            .first_of(Role::Admin)
            .await
            .expect("the tables are there"),
        None
    );

    assert!(accounts.any().await.expect("the tables are there"));
}

async fn key_is_shown_once_and_recognised_by_its_hash(test: TestDb) {
    let (accounts, _) = accounts(&test);
    let account = accounts
        .create(None, Role::Seller, "Anna")
        .await
        .expect("it is made");

    let one = accounts
        .issue(account.id, Some("laptop"))
        .await
        .expect("it is made");

    let two = accounts.issue(account.id, None).await.expect("it is made");
    assert_ne!((one.id, &one.key), (two.id, &two.key));
    for key in [&one, &two] {
        assert!(
            key.key.starts_with("dw_") && key.key.len() == 3 + 43,
            "{} has 256 bits",
            key.key
        );

        let holder = accounts
            .holder(KeyHash::of(&key.key))
            .await
            .expect("the tables are there");

        let expected = KeyHolder {
            key_id: key.id,
            account_id: account.id,
            role: Role::Seller,
            name: "Anna".to_owned(),
            expires_at: None,
        };

        assert_eq!(holder, Some(expected));
    }

    assert_eq!(
        accounts
            .holder(KeyHash::of("dw_other"))
            .await
            .expect("the tables are there"),
        None
    );

    let stored: Vec<Vec<u8>> = on_db!(test.db.read(), pool =>
        sqlx::query_scalar("SELECT hash FROM api_key").fetch_all(pool).await)
    .expect("the table can be read");

    let stored: HashSet<_> = stored.into_iter().collect();
    assert_eq!(
        stored,
        [&one, &two]
            .map(|key| KeyHash::of(&key.key).0.to_vec())
            .into()
    );
}

async fn key_authenticates_nobody_once_it_is_revoked(test: TestDb) {
    let (accounts, clock) = accounts(&test);
    let account = accounts
        .create(None, Role::Seller, "Anna")
        .await
        .expect("it is made");

    let (kept, gone) = (
        issue(&accounts, account.id).await,
        issue(&accounts, account.id).await,
    );

    clock.advance(Duration::from_secs(1));
    let at = clock.now();
    assert_eq!(
        accounts
            .revoke(gone.id)
            .await
            .expect("the tables are there"),
        Some(at)
    );

    clock.advance(Duration::from_secs(1));
    assert_eq!(
        accounts
            .revoke(gone.id)
            .await
            .expect("the tables are there"),
        Some(at),
        "once for all"
    );

    assert_eq!(
        accounts
            .holder(KeyHash::of(&gone.key))
            .await
            .expect("the tables are there"),
        None
    );

    assert!(
        accounts
            .holder(KeyHash::of(&kept.key))
            .await
            .expect("the tables are there")
            .is_some()
    );

    assert_eq!(
        accounts
            .revoke(Uuid::from_u128(9))
            .await
            .expect("the tables are there"),
        None
    );
}

async fn keys_are_valid_only_if_they_exist_and_are_not_revoked(test: TestDb) {
    let (accounts, _) = accounts(&test);
    let account = accounts
        .create(None, Role::Seller, "Anna")
        .await
        .expect("it is made");

    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(issue(&accounts, account.id).await);
    }

    accounts
        .revoke(keys[0].id)
        .await
        .expect("the tables are there");

    let mut asked: Vec<_> = keys.iter().map(|key| KeyHash::of(&key.key)).collect();
    let in_use: HashSet<_> = asked[1..].iter().copied().collect();
    asked.push(KeyHash::of("nobody's"));
    let valid = accounts
        .still_valid(&asked)
        .await
        .expect("the tables are there");

    assert_eq!(valid.len(), in_use.len());
    assert_eq!(valid.into_iter().collect::<HashSet<_>>(), in_use);
    assert!(
        accounts
            .still_valid(&[])
            .await
            .expect("the tables are there")
            .is_empty()
    );
}

async fn key_with_a_known_text_is_stored_once(test: TestDb) {
    let (accounts, clock) = accounts(&test);
    let account = accounts
        .create(None, Role::Admin, "Demo")
        .await
        .expect("it is made");

    let id = accounts
        .store_key(account.id, Some("demo"), "some-secret")
        .await
        .expect("it is kept");

    clock.advance(Duration::from_secs(1));
    let again = accounts
        .store_key(account.id, None, "some-secret")
        .await
        .expect("it is there");

    assert_eq!(again, id, "the key's id, by which it can be revoked");
    let holder = accounts
        .holder(KeyHash::of("some-secret"))
        .await
        .expect("the tables are there");

    assert_eq!(
        holder.map(|holder| (holder.key_id, holder.role)),
        Some((id, Role::Admin))
    );

    accounts
        .revoke(id)
        .await
        .expect("the tables are there")
        .expect("it was kept");

    accounts
        .store_key(account.id, Some("demo"), "some-secret")
        .await
        .expect("it is there");

    let holder = accounts
        .holder(KeyHash::of("some-secret"))
        .await
        .expect("the tables are there");

    assert_eq!(holder, None, "keeping it again does not undo a revocation");
}

async fn key_cannot_be_issued_without_an_account(test: TestDb) {
    let (accounts, _) = accounts(&test);
    let nobody = accounts.issue(Uuid::from_u128(7), None).await;
    assert!(matches!(nobody, Err(Error::Broken { .. })), "{nobody:?}");
}

async fn issue(accounts: &Accounts, account: Uuid) -> backbone::accounts::IssuedKey {
    accounts.issue(account, None).await.expect("it is made")
}

fn accounts(test: &TestDb) -> (Accounts, Clock) {
    let clock = Clock::fixed(NOW.as_micros());
    (Accounts::new(test.db.clone(), clock.clone()), clock)
}
