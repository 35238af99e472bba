// SPDX-License-Identifier: Apache-2.0
//! Serving `wasi:http/incoming-handler`: HTTP/1 on sockets that are listening already, a fresh
//! instance a request.

use std::ffi::c_int;
use std::net::TcpListener;
use std::os::fd::FromRawFd;
use std::sync::Arc;
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

const TICK_MS: u64 = 10; // ZL_COMPONENT_TICK_MS

struct Server {
    ready: Ready,
    pre: ProxyPre<State>,
    room: tokio::sync::Semaphore, // as many requests at once
}

async fn handle(server: Arc<Server>, request: Request<Incoming>) -> Result<Response<HyperOutgoingBody>> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut store = server.ready.store()?;
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(sender)?;
    // The guest may go on when the head of its answer is out.
    let guest = tokio::task::spawn(async move {
        let _room = server.room.acquire().await;
        let how = &server.ready.how;
        store.set_epoch_deadline(how.request_timeout_ms.div_ceil(TICK_MS));
        let call = async {
            let proxy = server.pre.instantiate_async(&mut store).await?;
            proxy.wasi_http_incoming_handler().call_handle(store, request, out).await
        };
        (how.busy)(how.arg, true);
        let result = tokio::time::timeout(Duration::from_millis(how.request_timeout_ms), call).await;
        (how.busy)(how.arg, false);
        result.unwrap_or_else(|_| Err(Error::msg("the request took longer than request_timeout")))
    });
    match receiver.await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(code)) => Err(Error::msg(format!("the guest answered with an error: {code:?}"))),
        Err(_) => Err(guest.await?.err().unwrap_or_else(|| Error::msg("the guest ended without an answer"))),
    }
}

/// A guest that fails costs its request, not the service.
fn failure(server: &Server, e: Error) -> Response<HyperOutgoingBody> {
    (server.ready.how.failed)(server.ready.how.arg, failed(e));
    let body = Full::new("the module failed\n".as_bytes().into()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

async fn serve_connection(server: Arc<Server>, client: tokio::net::TcpStream) {
    let service = hyper::service::service_fn(move |request| {
        let server = server.clone();
        async move {
            let result = handle(server.clone(), request).await;
            Ok::<_, std::convert::Infallible>(result.unwrap_or_else(|e| failure(&server, e)))
        }
    });
    // Clients that break off are their own affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service).await;
}

async fn accept(server: Arc<Server>, listener: tokio::net::TcpListener) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(serve_connection(server.clone(), client))),
            // Too many open files, say: those that end make room.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn serve(ready: Ready, listeners: impl Iterator<Item = TcpListener>) -> Result<()> {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let pre = ProxyPre::new(ready.pre.clone())?;
    let room = tokio::sync::Semaphore::new(ready.how.max_requests as usize);
    let server = Arc::new(Server { ready, pre, room });
    tokio.block_on(async {
        for listener in listeners {
            tokio::spawn(accept(server.clone(), tokio::net::TcpListener::from_std(listener)?));
        }
        std::future::pending().await
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn zl_component_serve(
    ready: Box<Ready>,
    sockets: *const c_int,
    n: usize,
) -> Box<wasmtime_error_t> {
    let listeners = (0..n).map(|i| unsafe { TcpListener::from_raw_fd(*sockets.add(i)) });
    failed(serve(*ready, listeners).err().unwrap_or_else(|| Error::msg("it has stopped serving")))
}
