//! A disk that is full for a while.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use backbone::testkit::wait_until;
use serde_json::json;

use crate::kit::{CREATE, Client, DEADLINE, Process, SELLER_KEY};

/// Mounts a small disk on the data directory, which only the process itself sees, and becomes the process.
const ON_A_SMALL_DISK: &str =
    r#"mount -t tmpfs -o size=16m tmpfs "$DEALWIRE_DATA_DIR" && exec "$0" "$@""#;

/// Words of a command that runs another one with mounts of its own.
fn own_mounts() -> Vec<&'static str> {
    let is_root = fs::metadata("/proc/self").expect("this is Linux").uid() == 0;
    // Other users may mount something in a namespace in which they are root.
    let user: &[_] = if is_root {
        &[]
    } else {
        &["--user", "--map-root-user"]
    };
    [
        &["unshare", "--mount"],
        user,
        &["/bin/sh", "-c", ON_A_SMALL_DISK],
    ]
    .concat()
}

/// A file that takes all the room there is, on the disk that the process sees.
struct Ballast(PathBuf);

impl Ballast {
    fn fill(process: &Process, data_dir: &str) -> Self {
        let path = PathBuf::from(format!("/proc/{}/root{data_dir}/ballast", process.id()));
        let mut file = File::create(&path).expect("there is room for a name");
        for size in [65_536, 4_096, 512, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        Self(path)
    }

    fn remove(self) {
        fs::remove_file(self.0).expect("it is there");
    }
}

// Goal: a full disk ends nothing and loses nothing.
// Method: take all the room of an embedded market's disk under writes, keep writing, and give the room back.
// Proves: writes are refused as UNAVAILABLE and readiness says why; with room, everything works by itself, and the deals are
// exactly those that were acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn full_disk_refuses_writes_until_there_is_room() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data_dir = folder.path().to_str().expect("a path of text");
    let process = Process::spawn_in(&own_mounts(), &[("DEALWIRE_DATA_DIR", data_dir)]);
    process.ready().await;
    let seller = Client::new(&process.url(), Some(SELLER_KEY));
    let mut acknowledged = BTreeSet::new();

    for round in 0..3 {
        let ballast = Ballast::fill(&process, data_dir);
        let mut refused = 0;
        // The files have some room inside, and readiness is to be told meanwhile.
        for number in 0.. {
            let name = format!("{round} {number}");
            match create(&seller, &name).await {
                Ok(()) => {
                    acknowledged.insert(name);
                }
                Err(code) => {
                    assert_eq!(code, "UNAVAILABLE", "after {} deals", acknowledged.len());
                    refused += 1;
                }
            }
            if refused >= 50 && process.complaints().await.contains("full") {
                break;
            }
            assert!(number < 20_000, "16 MB are full at some time");
        }
        assert_eq!(process.ready_status().await, 200, "reads go on");

        ballast.remove();
        wait_until(DEADLINE, "nothing is missing any more", async || {
            process.complaints().await == "{} {}"
        })
        .await;
        let name = format!("{round} with room");
        create(&seller, &name).await.expect("there is room");
        acknowledged.insert(name);
    }

    wait_until(DEADLINE, "every acknowledged deal is there", async || {
        names(&seller).await == acknowledged
    })
    .await;
}

/// Creates a deal, or returns the code of the refusal.
async fn create(seller: &Client, name: &str) -> Result<(), String> {
    let input = json!({ "name": name, "totalPrice": 1000, "currency": "GBP",
                        "items": [{ "name": "item", "price": 1000 }] });
    let answer = seller.execute(CREATE, json!({ "input": input })).await;
    if answer.body["errors"].is_array() {
        return Err(answer.code().to_owned());
    }
    Ok(())
}

/// Names of the seller's deals that this test has made.
async fn names(seller: &Client) -> BTreeSet<String> {
    let query = "query($after: String) { dealsForSeller(first: 100, after: $after) {
        nodes { name } pageInfo { hasNextPage endCursor } } }";
    let mut names = BTreeSet::new();
    let mut after = json!(null);
    loop {
        let page = seller.data(query, json!({ "after": after })).await["dealsForSeller"].take();
        for node in page["nodes"].as_array().expect("a list") {
            let name = node["name"].as_str().expect("a name");
            if name.starts_with(|first: char| first.is_ascii_digit()) {
                names.insert(name.to_owned());
            }
        }
        if page["pageInfo"]["hasNextPage"] != true {
            return names;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}
