// SPDX-License-Identifier: Apache-2.0
//! Serving `wasi:http/incoming-handler`: HTTP/1 on sockets that are listening already, a fresh
//! instance a request.

use std::ffi::c_int;
use std::net::TcpListener;
use std::os::fd::FromRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use wasmtime::{Error, Result};
use wasmtime_c_api::wasmtime_error_t;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::component::{Ready, State, failed};

const TICK_MS: u64 = 10;

struct Server {
    ready: Ready,
    pre: ProxyPre<State>,
    room: tokio::sync::Semaphore, // as many requests at once
    busy: AtomicUsize,
    wake: (Mutex<()>, Condvar),
}

/// Counts a request that runs, and wakes the ticker for the first.
struct Busy<'a>(&'a Server);

impl<'a> Busy<'a> {
    fn new(server: &'a Server) -> Busy<'a> {
        if server.busy.fetch_add(1, Ordering::SeqCst) == 0 {
            let _held = server.wake.0.lock().unwrap();
            server.wake.1.notify_one();
        }
        Busy(server)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The epoch goes on while requests run, and only then: an idle service wakes nobody.
fn tick(server: &Server) {
    loop {
        let mut held = server.wake.0.lock().unwrap();
        while server.busy.load(Ordering::SeqCst) == 0 {
            held = server.wake.1.wait(held).unwrap();
        }
        drop(held);
        std::thread::sleep(Duration::from_millis(TICK_MS));
        server.pre.engine().increment_epoch();
    }
}

fn answer(status: StatusCode, text: &'static str) -> Response<HyperOutgoingBody> {
    let body = Full::new(text.as_bytes().into()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

async fn handle(server: Arc<Server>, request: Request<Incoming>) -> Result<Response<HyperOutgoingBody>> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut store = server.ready.store()?;
    let timeout = match server.ready.how.request_timeout_ms {
        0 => u64::MAX / 2,
        ms => ms,
    };
    store.set_epoch_deadline(timeout.div_ceil(TICK_MS).min(u64::MAX / 4));
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(sender)?;
    let (served, pre) = (server.clone(), server.pre.clone());
    // The guest may go on when the head of its answer is out.
    let guest = tokio::task::spawn(async move {
        let _room = served.room.acquire().await;
        let _busy = Busy::new(&served);
        let call = async {
            let proxy = pre.instantiate_async(&mut store).await?;
            proxy.wasi_http_incoming_handler().call_handle(store, request, out).await
        };
        match tokio::time::timeout(Duration::from_millis(timeout), call).await {
            Ok(result) => result,
            Err(_) => Err(Error::msg("the request took longer than request_timeout")),
        }
    });
    match receiver.await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(code)) => Err(Error::msg(format!("the guest answered with an error: {code:?}"))),
        Err(_) => match guest.await? {
            Ok(()) => Err(Error::msg("the guest ended without an answer")),
            Err(e) => Err(e),
        },
    }
}

async fn serve_connection(server: Arc<Server>, client: tokio::net::TcpStream) {
    let service = hyper::service::service_fn(move |request| {
        let server = server.clone();
        async move {
            // A guest that fails costs its request, not the service.
            Ok::<_, std::convert::Infallible>(handle(server.clone(), request).await.unwrap_or_else(|e| {
                (server.ready.how.failed)(server.ready.how.arg, failed(e));
                answer(StatusCode::INTERNAL_SERVER_ERROR, "the module failed\n")
            }))
        }
    });
    // Clients that break off are their own affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service).await;
}

async fn accept(server: Arc<Server>, listener: TcpListener) -> std::io::Error {
    let listener = match listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener)) {
        Ok(listener) => listener,
        Err(e) => return e,
    };
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(serve_connection(server.clone(), client))),
            // Too many open files, say: those that end make room.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(server: Arc<Server>, listeners: Vec<TcpListener>) -> Error {
    let mut all = tokio::task::JoinSet::new();
    for listener in listeners {
        all.spawn(accept(server.clone(), listener));
    }
    match all.join_next().await {
        Some(Ok(e)) => e.into(),
        Some(Err(e)) => e.into(),
        None => Error::msg("a service of wasi:http/incoming-handler needs an endpoint to listen on"),
    }
}

fn start(ready: Ready, listeners: Vec<TcpListener>) -> Result<Error> {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let pre = ProxyPre::new(ready.pre.clone())?;
    let room = tokio::sync::Semaphore::new(ready.how.max_requests.max(1) as usize);
    let server = Arc::new(Server { ready, pre, room, busy: AtomicUsize::new(0), wake: Default::default() });
    let ticking = server.clone();
    std::thread::Builder::new().name("ticker".into()).spawn(move || tick(&ticking))?;
    Ok(tokio.block_on(serve(server, listeners)))
}

/// # Safety
/// The sockets are listening and the callee's; the process is the guest's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zl_component_serve(ready: Box<Ready>, sockets: *const c_int, n: usize) -> Box<wasmtime_error_t> {
    let listeners = (0..n).map(|i| unsafe { TcpListener::from_raw_fd(*sockets.add(i)) }).collect();
    failed(start(*ready, listeners).unwrap_or_else(|e| e))
}
