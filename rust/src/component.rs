// SPDX-License-Identifier: Apache-2.0
//! Loading components and running `wasi:cli/run`. What a guest is given is put together in C, as a
//! `wasi_config_t`. That type, the engine and the store of the C API are repr(C) with what is needed
//! here as their one field, which is private to their crate: hence the casts. The version is pinned.

use std::ffi::{CStr, c_char, c_void};
use std::future::Future;

use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Error, Result, Store};
use wasmtime_c_api::{wasi_config_t, wasm_engine_t, wasmtime_error_t};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error as HttpError, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::limits::{Counter, Limits};

const RUN: u32 = 1;
const HTTP: u32 = 2;

/// NULL, or what went wrong, which the caller deletes.
pub type Failed = Option<Box<wasmtime_error_t>>;

pub fn failed(e: impl Into<Error>) -> Box<wasmtime_error_t> {
    Box::new(wasmtime_error_t::from(e.into()))
}

/// What a store of a component holds.
pub struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    how: How,
    table: ResourceTable,
    limits: Limits,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.how, table: &mut self.table, ctx: &mut self.http }
    }
}

type Sending = Box<dyn Future<Output = std::result::Result<(), HttpError>> + Send>;
type Response = std::result::Result<(hyper::Response<WasiBody>, Sending), HttpError>;

impl WasiHttpHooks for How {
    fn send_request(
        &mut self,
        request: hyper::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Sending,
    ) -> Box<dyn Future<Output = Response> + Send> {
        let (uri, standard) = (request.uri(), if request.uri().scheme_str() == Some("https") { 443 } else { 80 });
        let (host, port) = (uri.host().unwrap_or(""), uri.port_u16().unwrap_or(standard));
        let allowed = (self.may_ask)(self.arg, host.as_ptr().cast(), host.len(), port);
        Box::new(async move {
            if !allowed {
                return Err(HttpError::HttpRequestDenied);
            }
            use http_body_util::BodyExt;
            let (response, io) = wasmtime_wasi_http::default_send_request(request, options).await?;
            Ok((response.map(BodyExt::boxed_unsync), Box::new(io) as Sending))
        })
    }
}

pub struct Loaded {
    pre: InstancePre<State>,
    worlds: u32,
}

fn load(engine: &Engine, path: &CStr) -> Result<Loaded> {
    // Safe: it is what this engine's own compiler made.
    let component = unsafe { Component::deserialize_file(engine, path.to_str()?)? };
    let mut linker = Linker::<State>::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    let mut worlds = 0;
    for (name, _) in component.component_type().exports(engine) {
        // Every 0.2.x is one interface for wasmtime's linker and bindings.
        worlds |= if name.starts_with("wasi:cli/run@0.2") { RUN } else { 0 };
        worlds |= if name.starts_with("wasi:http/incoming-handler@0.2") { HTTP } else { 0 };
    }
    Ok(Loaded { pre: linker.instantiate_pre(&component)?, worlds })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn zl_component_load(
    engine: *const wasm_engine_t,
    path: *const c_char,
    ret: &mut Option<Box<Loaded>>,
    worlds: &mut u32,
) -> Failed {
    let loaded = load(unsafe { &*engine.cast::<Engine>() }, unsafe { CStr::from_ptr(path) });
    loaded.map(|loaded| (*worlds, *ret) = (loaded.worlds, Some(Box::new(loaded)))).err().map(failed)
}

#[unsafe(no_mangle)]
pub extern "C" fn zl_component_free(_: Option<Box<Loaded>>) {}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct How {
    config: extern "C" fn(*const c_void, bool) -> *mut wasi_config_t,
    pub failed: extern "C" fn(*const c_void, Box<wasmtime_error_t>),
    may_ask: extern "C" fn(*const c_void, *const c_char, usize, u16) -> bool,
    pub busy: extern "C" fn(*const c_void, bool),
    pub arg: *const c_void,
    tcp: bool,
    udp: bool,
    max_memory: u64,
    max_tables: u64,
    fuel: u64,
    pub request_timeout_ms: u64,
    pub max_requests: u32,
    counter: Counter,
}

// The C functions may be called from any thread.
unsafe impl Send for How {}
unsafe impl Sync for How {}

impl How {
    fn config(&self, with_folders: bool) -> WasiCtxBuilder {
        let config = (self.config)(self.arg, with_folders);
        *unsafe { Box::from_raw(config.cast::<WasiCtxBuilder>()) }
    }
}

/// All that a guest needs; nothing of it leads to the host's paths.
pub struct Ready {
    pub pre: InstancePre<State>,
    pub how: How,
    files: WasiFilesystemCtx, // the preopened folders
}

impl Ready {
    pub fn store(&self) -> Result<Store<State>> {
        let mut wasi = self.how.config(false).allow_tcp(self.how.tcp).allow_udp(self.how.udp).build();
        *wasi.filesystem() = self.files.clone();
        let state = State {
            wasi,
            http: WasiHttpCtx::new(),
            how: self.how,
            table: ResourceTable::new(),
            limits: Limits::component(self.how.max_memory, self.how.max_tables, self.how.counter),
        };
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|s| &mut s.limits);
        if self.how.fuel > 0 {
            store.set_fuel(self.how.fuel)?;
        }
        Ok(store)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn zl_component_prepare(c: &Loaded, how: &How) -> Box<Ready> {
    // A command has one thread: reading and writing files need no others.
    let mut given = how.config(true).allow_blocking_current_thread(c.worlds & HTTP == 0).build();
    Box::new(Ready { pre: c.pre.clone(), how: *how, files: given.filesystem().clone() })
}

async fn run(ready: &Ready) -> Result<i32> {
    let mut store = ready.store()?;
    store.set_epoch_deadline(1); // counted up once, when its time is over
    let command = CommandPre::new(ready.pre.clone())?.instantiate_async(&mut store).await?;
    let result = command.wasi_cli_run().call_run(&mut store).await?;
    Ok(if result.is_ok() { 0 } else { 1 })
}

#[unsafe(no_mangle)]
pub extern "C" fn zl_component_run(ready: &Ready, code: &mut i32) -> Failed {
    let tokio = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(e) => return Some(failed(e)),
    };
    tokio.block_on(run(ready)).map(|got| *code = got).err().map(failed)
}
