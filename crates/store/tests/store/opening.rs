//! Opening: what cannot be a store is refused in words that help, and an older one is brought up to date.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use store::{Attached, Error, Item, NewJob, Order, Settings, Store};

use crate::place::{Place, page, record};

async fn refused(address: &str) -> Error {
    match Store::open(address, Settings::default()).await {
        Ok(_) => panic!("{address} was opened"),
        Err(error) => error,
    }
}

async fn file_refused(path: &Path) -> Error {
    refused(&format!("sqlite:{}", path.display())).await
}

#[tokio::test]
async fn addresses() {
    for address in ["", "store.db", "mysql://host/db", "sqlite:", "postgres://[", "postgres://h/d?sslmode=never"] {
        let error = refused(address).await;
        assert!(matches!(error, Error::Address { .. }), "{address}: {error}");
    }
    let secret = refused("postgres://user:secret@127.0.0.1:1/db?connect_timeout=5").await;
    assert!(matches!(secret, Error::Open { .. }), "{secret}");
    assert!(secret.to_string().contains("db at 127.0.0.1") && !secret.to_string().contains("secret"), "{secret}");
    let secret = refused("postgres://user:secret@h:port/db").await;
    assert!(!secret.to_string().contains("secret"), "{secret}");
}

#[tokio::test]
async fn files_that_are_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.db");
    fs::write(&garbage, "not a database, and longer than its header would be. ".repeat(40)).unwrap();
    let before = fs::read(&garbage).unwrap();
    let place = garbage.display().to_string();
    assert_eq!(file_refused(&garbage).await, Error::NotADatabase { place });
    assert_eq!(fs::read(&garbage).unwrap(), before, "it is left as it was");

    let foreign = folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE records (a)").unwrap();
    let place = foreign.display().to_string();
    assert_eq!(file_refused(&foreign).await, Error::Foreign { place });

    let is_folder = file_refused(folder.path()).await;
    assert!(matches!(is_folder, Error::Open { .. }), "{is_folder}");
    let below_file = file_refused(&garbage.join("store.db")).await;
    assert!(matches!(below_file, Error::Open { .. }), "{below_file}");
}

/// Damage in the middle of a file that was one: an error, and no panic.
#[tokio::test]
async fn a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let address = format!("sqlite:{}", path.display());
    let store = Store::open(&address, Settings::default()).await.unwrap();
    for number in 0..50 {
        store.put(record("k", "o", &number.to_string(), &"x".repeat(3000))).await.unwrap();
    }
    drop(store);
    let copy = folder.path().join("copy.db");
    rusqlite::Connection::open(&path).unwrap().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    let mut bytes = fs::read(&copy).unwrap();
    bytes[4096..40_000].fill(0xa5);
    fs::write(&copy, bytes).unwrap();
    let store = Store::open(&format!("sqlite:{}", copy.display()), Settings::default()).await;
    let failed = match store {
        Err(error) => Err(error),
        Ok(store) => store.list("k", "o", page(None, 100, Order::Asc)).await,
    };
    let error = failed.unwrap_err();
    assert!(matches!(error, Error::Database { .. } | Error::NotADatabase { .. }), "{error}");
}

#[tokio::test]
async fn nobody_else_reads_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Store::open(&format!("sqlite:{}", path.display()), Settings::default()).await.unwrap();
    store.put(record("k", "o", "a", "")).await.unwrap();
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
    assert!(files.len() >= 2, "the file and its journal");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", file.path().display());
    }
}

/// Root may write everywhere, so that root's tests try it as somebody else, in a process of their own.
#[test]
fn a_file_that_may_not_be_written() {
    const CHILD: &str = "GLOSSA_TEST_READ_ONLY";
    if let Some(path) = std::env::var_os(CHILD) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let path = Path::new(&path);
        let place = path.display().to_string();
        assert_eq!(runtime.block_on(file_refused(path)), Error::ReadOnly { place });
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    drop(runtime.block_on(Store::open(&format!("sqlite:{}", path.display()), Settings::default())).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let program = folder.path().parent().unwrap().join(format!("glossa-read-only-{}", std::process::id()));
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut child = std::process::Command::new(&program);
    child.args(["--exact", "opening::a_file_that_may_not_be_written"]).env(CHILD, &path).current_dir("/");
    crate::server::as_nobody_if_root(&mut child, folder.path());
    let output = child.output().unwrap();
    fs::remove_file(&program).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

pub(crate) async fn newer_tables(place: Place) {
    drop(place.open().await);
    place.execute("UPDATE schema_version SET version = 99");
    assert_eq!(refused(place.address()).await, Error::NewerSchema { found: 99, known: 2 });
    place.execute("UPDATE schema_version SET version = -1");
    assert_eq!(refused(place.address()).await, Error::NewerSchema { found: -1, known: 2 });
}

/// The first version had no jobs; what it kept is still there.
pub(crate) async fn older_tables(place: Place) {
    let store = place.open().await;
    let attached = Attached { items: vec![Item { id: "i".into(), body: "item".into() }], ..Attached::default() };
    store.put_with(record("k", "o", "a", "kept"), attached).await.unwrap();
    let before = store.stats().await.unwrap();
    drop(store);
    place.execute("DROP TABLE jobs; UPDATE schema_version SET version = 1");
    let store = place.open().await;
    assert_eq!(store.stats().await.unwrap(), before);
    assert_eq!(store.item("k", "o", "a", "i").await.unwrap().unwrap().body, "item");
    let job = NewJob { queue: "q".into(), owner: "o".into(), id: "a".into(), body: String::new() };
    store.enqueue(job).await.unwrap();
}

pub(crate) async fn opened_again(place: Place) {
    let store = place.open().await;
    store.put(record("k", "o", "a", "kept")).await.unwrap();
    drop(store);
    for _ in 0..2 {
        let store = place.open().await;
        assert_eq!(store.get("k", "o", "a").await.unwrap().unwrap().body, "kept");
    }
}

/// Several replicas that start on an empty database together.
pub(crate) async fn opened_together(place: Place) {
    let [a, b, c] = [place.settings(), place.settings(), place.settings()].map(|settings| {
        let address = place.address().to_string();
        tokio::spawn(async move { Store::open(&address, settings).await.unwrap() })
    });
    let (a, b, c) = (a.await.unwrap(), b.await.unwrap(), c.await.unwrap());
    a.put(record("k", "o", "a", "")).await.unwrap();
    assert!(b.get("k", "o", "a").await.unwrap().is_some());
    assert!(c.delete("k", "o", "a").await.unwrap());
}
