//! Comparison of a database's migrations with those of this binary.

use std::collections::HashMap;

use sqlx::migrate::{AppliedMigration, Migration, Migrator};

/// Table in which a database keeps its migrations.
pub(super) const TABLE: &str = "_sqlx_migrations";

/// Returns the migrations that the database lacks, in order.
///
/// Migrations that this binary does not know are accepted if they are newer than all of its own: a
/// newer binary has applied them, and its tables still serve this one.
///
/// # Errors
/// The reason why the database has a different history than this binary.
pub(super) fn pending<'a>(
    migrator: &'a Migrator,
    applied: &[AppliedMigration],
) -> Result<Vec<&'a Migration>, String> {
    let known: HashMap<i64, &Migration> = migrator
        .iter()
        .filter(|migration| !migration.migration_type.is_down_migration())
        .map(|migration| (migration.version, migration))
        .collect();

    let newest_known = known.keys().max().copied().unwrap_or(0);
    let newest_applied = applied.iter().map(|one| one.version).max().unwrap_or(0);

    for one in applied {
        match known.get(&one.version) {
            Some(migration) if migration.checksum != one.checksum => {
                return Err(format!(
                    "its migration {} is not the one of this version ({}), although the number is the same: this \
                     database belongs to a different build; use the binary that migrated it",
                    one.version, migration.description
                ));
            }
            None if one.version < newest_known => {
                return Err(format!(
                    "it has a migration {} that this version does not know, although this version has newer ones up \
                     to {newest_known}: use the binary that migrated it",
                    one.version
                ));
            }
            Some(_) | None => {}
        }
    }

    let mut pending: Vec<&Migration> = known
        .into_values()
        .filter(|migration| applied.iter().all(|one| one.version != migration.version))
        .collect();
    pending.sort_by_key(|migration| migration.version);

    // Migrations are written to run in order, each on the tables that the ones before it left.
    match pending.first() {
        Some(first) if first.version < newest_applied => Err(format!(
            "it lacks migration {} ({}), although it has newer ones up to {newest_applied}: use the binary that \
             migrated it",
            first.version, first.description
        )),
        _ => Ok(pending),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::SqlStr;
    use sqlx::migrate::MigrationType;

    use super::*;

    fn migration(version: i64, sql: &'static str) -> Migration {
        Migration::new(
            version,
            "some".into(),
            MigrationType::Simple,
            SqlStr::from_static(sql),
            false,
        )
    }

    /// Versions that are pending for a binary with these migrations on a database with those.
    fn versions(ours: &[Migration], theirs: &[Migration]) -> Result<Vec<i64>, String> {
        let applied: Vec<AppliedMigration> = theirs
            .iter()
            .map(|migration| AppliedMigration {
                version: migration.version,
                checksum: migration.checksum.clone(),
            })
            .collect();

        let migrator = Migrator::with_migrations(ours.to_vec());
        let pending = pending(&migrator, &applied)?;
        Ok(pending.iter().map(|migration| migration.version).collect())
    }

    #[test]
    fn history_may_be_shorter_or_longer_but_not_different() {
        let all = [1, 2, 3].map(|version| migration(version, "SELECT 1"));
        let other = migration(2, "SELECT 2");

        assert_eq!(versions(&all, &[]), Ok(vec![1, 2, 3]));
        assert_eq!(versions(&all, &all[..1]), Ok(vec![2, 3]));
        assert_eq!(versions(&all, &all), Ok(vec![]));
        assert_eq!(
            versions(&all[..1], &all),
            Ok(vec![]),
            "a newer binary was here"
        );

        let changed = versions(&all, &[all[0].clone(), other]);
        assert!(changed.is_err_and(|why| why.contains("is not the one")));

        let gap = [all[0].clone(), all[2].clone()];
        let unknown = versions(&gap, &all);
        assert!(unknown.is_err_and(|why| why.contains("does not know")));
        let missing = versions(&all, &gap);
        assert!(missing.is_err_and(|why| why.contains("lacks migration 2")));
        let branch = versions(&all[..2], &gap);
        assert!(branch.is_err_and(|why| why.contains("lacks migration 2")));
    }
}
