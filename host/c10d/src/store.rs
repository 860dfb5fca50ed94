//! Stores: keys and values that the processes of a job share, and find each other by. Knows nothing of groups.

use std::ffi::CString;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Failure, check};
use crate::ffi;

/// Keys and values that processes share.
///
/// A clone is the same store. A TCP store lives as long as the process that serves it: keep that one until all others
/// have ended. One that waits for a key keeps other threads from using the same store meanwhile.
///
/// Each group that is made needs a store of its own, or a prefix of its own in one: [`Store::with_prefix`].
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handle: *mut ffi::StoreHandle,
}

// SAFETY: libtorch's stores take a lock of their own for each operation.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: the handle came from the shim and is given back once.
        unsafe { ffi::snaphook_c10d_store_free(self.handle) }
    }
}

/// libtorch adds it to the time that it is, in nanoseconds of 64 bits, which hold 292 years.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.min(LONGEST).as_millis()).expect("ten years fit").max(1)
}

pub(crate) fn text(value: &str, operation: &str) -> Result<CString, Error> {
    CString::new(value).map_err(|_| {
        let message = format!("{value:?}: expected a text without a zero byte, found one");
        Error::new(operation, Failure::Other, &message)
    })
}

impl Store {
    /// Serves a store on `port` (0: any that is free, see [`Store::port`]) of `host`; one process of a job does.
    ///
    /// `timeout` is how long a [`get`](Store::get) waits for its key, ten years at most. Errors: the port is taken.
    pub fn tcp_server(host: &str, port: u16, timeout: Duration) -> Result<Store, Error> {
        Store::connect((host, port), true, None, timeout)
    }

    /// Connects to the store that another process serves; waits until it is there, `timeout` at most.
    ///
    /// Errors: nobody serves one there.
    pub fn tcp(host: &str, port: u16, timeout: Duration) -> Result<Store, Error> {
        Store::connect((host, port), false, None, timeout)
    }

    /// The store in which the ranks of PyTorch meet that call `init_process_group("gloo")` with `MASTER_ADDR=host` and
    /// `MASTER_PORT=port` in the environment (its `env://`), with the prefixes of PyTorch's default group; rank 0, of PyTorch or
    /// of this crate, serves it. Makes them one group with
    /// [`GroupOptions::with_pytorch`](crate::GroupOptions::with_pytorch):
    ///
    /// ```
    /// use std::time::Duration;
    /// use snaphook_c10d::{Group, GroupOptions, Store};
    ///
    /// # let (rank, size, port) = (0, 1, 0);
    /// let store = Store::pytorch(("127.0.0.1", port), (rank, size), Duration::from_secs(20))?;
    /// let options = GroupOptions { with_pytorch: true, ..GroupOptions::loopback() };
    /// let group = Group::gloo(&store, rank, size, &options)?;
    /// # group.barrier()?;
    /// # Ok::<(), snaphook_c10d::Error>(())
    /// ```
    ///
    /// Under `torchrun`, whose own process serves the store, ranks of PyTorch use other prefixes.
    ///
    /// Errors: nobody serves one there; on rank 0, the port is taken, or others do not come in time.
    ///
    /// Source: `torch/distributed/rendezvous.py` and `distributed_c10d.py` of PyTorch 2.11.
    pub fn pytorch(
        (host, port): (&str, u16),
        (rank, size): (usize, usize),
        timeout: Duration,
    ) -> Result<Store, Error> {
        let store = Store::connect((host, port), rank == 0, Some(size), timeout)?;
        store.with_prefix("default_pg")?.with_prefix("0/")
    }

    /// With a number of `workers` each says that it has come, and the server waits for all.
    fn connect(
        (host, port): (&str, u16),
        is_server: bool,
        workers: Option<usize>,
        timeout: Duration,
    ) -> Result<Store, Error> {
        let operation = format!("store at {host}:{port}");
        let (host, timeout) = (text(host, &operation)?, milliseconds(timeout));
        let mut handle = null_mut();
        // SAFETY: `host` ends with a zero and lives during the call, `handle` is written before success is returned.
        let code = unsafe {
            ffi::snaphook_c10d_store_tcp(
                host.as_ptr(),
                port,
                is_server,
                workers.map_or(-1, |workers| workers as i64),
                workers.is_some(),
                timeout,
                &mut handle,
            )
        };
        check(code, &operation)?;
        Ok(Store::from_handle(handle))
    }

    /// A store in a file that all processes can lock and read, such as on one machine. The file must not be there from an
    /// earlier job; the last of `workers` processes that leaves takes it away.
    ///
    /// Errors: the file cannot be made.
    pub fn file(path: &Path, workers: usize, timeout: Duration) -> Result<Store, Error> {
        let operation = format!("store in {}", path.display());
        let path = text(&path.to_string_lossy(), &operation)?;
        let mut handle = null_mut();
        // SAFETY: `path` ends with a zero and lives during the call, `handle` is written before success is returned.
        let code = unsafe {
            ffi::snaphook_c10d_store_file(
                path.as_ptr(),
                workers as i64,
                milliseconds(timeout),
                &mut handle,
            )
        };
        check(code, &operation)?;
        Ok(Store::from_handle(handle))
    }

    /// The same store, with `prefix` before each key.
    pub fn with_prefix(&self, prefix: &str) -> Result<Store, Error> {
        let prefix = text(prefix, "store prefix")?;
        let mut handle = null_mut();
        // SAFETY: both arguments live during the call, `handle` is written before success is returned.
        let code =
            unsafe { ffi::snaphook_c10d_store_prefix(prefix.as_ptr(), self.handle(), &mut handle) };
        check(code, "store prefix")?;
        Ok(Store::from_handle(handle))
    }

    fn from_handle(handle: *mut ffi::StoreHandle) -> Store {
        Store { inner: Arc::new(Inner { handle }) }
    }

    pub(crate) fn handle(&self) -> *const ffi::StoreHandle {
        self.inner.handle
    }

    /// The port of a TCP store.
    ///
    /// Errors: a store of another kind.
    pub fn port(&self) -> Result<u16, Error> {
        let mut port = 0;
        // SAFETY: the store lives, and `port` is written to during the call alone.
        check(unsafe { ffi::snaphook_c10d_store_port(self.handle(), &mut port) }, "store port")?;
        Ok(port)
    }

    /// Sets the value of a key.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        let operation = format!("set {key}");
        let key = text(key, &operation)?;
        // SAFETY: key and value live during the call, which copies them.
        let code = unsafe {
            ffi::snaphook_c10d_store_set(self.handle(), key.as_ptr(), value.as_ptr(), value.len())
        };
        check(code, &operation)
    }

    /// The value of a key; waits until somebody has set it.
    ///
    /// Errors: nobody did in the store's time; the server is gone.
    pub fn get(&self, key: &str) -> Result<Vec<u8>, Error> {
        let operation = format!("get {key}");
        let key = text(key, &operation)?;
        let mut bytes = ffi::Bytes { data: null_mut(), length: 0 };
        // SAFETY: the key lives during the call, `bytes` is written before success is returned.
        let code = unsafe { ffi::snaphook_c10d_store_get(self.handle(), key.as_ptr(), &mut bytes) };
        check(code, &operation)?;
        // SAFETY: the shim has allocated that many bytes; they are copied, then given back once.
        let value = unsafe {
            let value = std::slice::from_raw_parts(bytes.data, bytes.length).to_vec();
            ffi::snaphook_c10d_bytes_free(bytes);
            value
        };
        Ok(value)
    }

    /// Waits until a key is set, `timeout` at most.
    ///
    /// Errors: as [`Store::get`].
    pub fn wait(&self, key: &str, timeout: Duration) -> Result<(), Error> {
        let operation = format!("wait for {key}");
        let (key, timeout) = (text(key, &operation)?, milliseconds(timeout));
        // SAFETY: the key lives during the call.
        let code = unsafe { ffi::snaphook_c10d_store_wait(self.handle(), key.as_ptr(), timeout) };
        check(code, &operation)
    }

    /// Whether a key is set.
    pub fn has(&self, key: &str) -> Result<bool, Error> {
        let operation = format!("look for {key}");
        let key = text(key, &operation)?;
        let mut found = false;
        // SAFETY: the key lives during the call, and `found` is written to during it alone.
        let code = unsafe { ffi::snaphook_c10d_store_has(self.handle(), key.as_ptr(), &mut found) };
        check(code, &operation)?;
        Ok(found)
    }

    /// Adds to the number under a key, 0 at first, and returns the sum; of processes that do so at once, each gets another.
    pub fn add(&self, key: &str, amount: i64) -> Result<i64, Error> {
        let operation = format!("add to {key}");
        let key = text(key, &operation)?;
        let mut sum = 0;
        // SAFETY: the key lives during the call, and `sum` is written to during it alone.
        let code =
            unsafe { ffi::snaphook_c10d_store_add(self.handle(), key.as_ptr(), amount, &mut sum) };
        check(code, &operation)?;
        Ok(sum)
    }

    /// Takes a key away; false when it was not there.
    pub fn delete(&self, key: &str) -> Result<bool, Error> {
        let operation = format!("delete {key}");
        let key = text(key, &operation)?;
        let mut found = false;
        // SAFETY: the key lives during the call, and `found` is written to during it alone.
        let code =
            unsafe { ffi::snaphook_c10d_store_delete(self.handle(), key.as_ptr(), &mut found) };
        check(code, &operation)?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stay_below_what_a_clock_can_add() {
        assert_eq!(milliseconds(Duration::from_micros(1)), 1);
        assert_eq!(milliseconds(Duration::from_millis(1500)), 1500);
        assert_eq!(milliseconds(Duration::MAX), 315_360_000_000);
    }
}
