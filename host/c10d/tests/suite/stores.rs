//! Stores: what one process sets, another gets.

use std::time::Duration;

use snaphook_c10d::{Failure, Store};

use crate::processes::TIMEOUT;

fn use_it(first: &Store, second: &Store) {
    first.set("key", b"value").unwrap();
    assert_eq!(second.get("key").unwrap(), b"value");
    assert!(!second.has("other").unwrap());
    assert_eq!((first.add("count", 2).unwrap(), second.add("count", 3).unwrap()), (2, 5));
    let scoped = second.with_prefix("night").unwrap();
    scoped.set("key", b"").unwrap();
    assert_eq!(scoped.get("key").unwrap(), b"");
    assert_eq!(first.get("night/key").unwrap(), b"");
    assert_eq!((first.delete("key").unwrap(), second.has("key").unwrap()), (true, false));
    let error = second.wait("never", Duration::from_millis(200)).unwrap_err();
    assert_eq!(error.failure(), Failure::Timeout, "{error}");
    assert!(error.to_string().starts_with("wait for never: "), "{error}");
}

#[test]
fn a_tcp_store_is_shared() {
    let server = Store::tcp_server("127.0.0.1", 0, TIMEOUT).unwrap();
    let client = Store::tcp("127.0.0.1", server.port().unwrap(), TIMEOUT).unwrap();
    use_it(&server, &client);
}

#[test]
fn a_file_store_is_shared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let open = || Store::file(&path, 2, TIMEOUT).unwrap();
    use_it(&open(), &open());
    let error = open().port().unwrap_err();
    assert!(error.to_string().contains("only a TCP store has a port"), "{error}");
}

#[test]
fn a_store_that_nobody_serves_is_named() {
    let port = Store::tcp_server("127.0.0.1", 0, TIMEOUT).unwrap().port().unwrap();
    let error = Store::tcp("127.0.0.1", port, Duration::from_millis(300)).unwrap_err();
    assert!(error.to_string().starts_with(&format!("store at 127.0.0.1:{port}: ")), "{error}");
    assert_ne!(error.failure(), Failure::Other, "{error}");
}
