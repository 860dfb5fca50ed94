//! An S3 server in this process, with one bucket in a folder. Knows nothing of who talks to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The only key that it knows.
pub(crate) const KEY_ID: &str = "AKIASNAPHOOKTEST";
pub(crate) const SECRET: &str = "a-secret-that-no-log-may-show";

/// Answers until it is dropped.
pub(crate) struct S3Server {
    address: SocketAddr,
    bucket: PathBuf,
    _runtime: Runtime,
}

impl S3Server {
    /// A server with the bucket `bucket`, whose objects are files below `folder`.
    pub(crate) fn start(folder: &Path) -> S3Server {
        S3Server::start_with(folder, Some(SimpleAuth::from_single(KEY_ID, SECRET)))
    }

    /// The same for whoever comes with a token: Google Cloud Storage's XML API has these same requests, signed in another way.
    pub(crate) fn start_as_google(folder: &Path) -> S3Server {
        S3Server::start_with(folder, None)
    }

    fn start_with(folder: &Path, keys: Option<SimpleAuth>) -> S3Server {
        let bucket = folder.join("bucket");
        std::fs::create_dir_all(&bucket).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
        let is_google = keys.is_none();
        keys.into_iter().for_each(|keys| service.set_auth(keys));
        let service = service.build();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (http, service) = (Builder::new(TokioExecutor::new()), service.clone());
                let service = service_fn(move |mut request: Request<Incoming>| {
                    if is_google {
                        request.headers_mut().remove("authorization");
                    }
                    Service::call(&service, request)
                });
                // A connection that a proxy cuts ends with an error, as it should.
                tokio::spawn(async move {
                    let _ = http.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        S3Server { address, bucket, _runtime: runtime }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of the bucket.
    pub(crate) fn bucket(&self) -> &Path {
        &self.bucket
    }
}
