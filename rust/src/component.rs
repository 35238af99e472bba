// SPDX-License-Identifier: Apache-2.0
//! Loading components and running `wasi:cli/run`.

use std::collections::HashSet;
use std::ffi::c_char;
use std::future::Future;
use std::sync::Mutex;

use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Error, Result, Store, Trap, WasmBacktrace};
use wasmtime_c_api::wasm_engine_t;
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error as HttpError, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::limits::Limits;
use crate::{tell, text, texts};

const RUN: u32 = 1;
const HTTP: u32 = 2;

/// What a store of a component holds.
pub struct State {
    pub wasi: WasiCtx,
    pub http: WasiHttpCtx,
    pub hooks: Hosts,
    pub table: ResourceTable,
    pub limits: Limits,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Which hosts outgoing requests may go to: "host" with any port, or "host:port"; none named: all.
#[derive(Clone)]
pub struct Hosts {
    allowed: HashSet<String>,
    outgoing: bool,
}

impl Hosts {
    fn allows(&self, host: &str, port: Option<u16>) -> bool {
        let host = host.to_ascii_lowercase();
        let exact = port.is_some_and(|p| self.allowed.contains(&format!("{host}:{p}")));
        self.outgoing && (self.allowed.is_empty() || self.allowed.contains(&host) || exact)
    }
}

type Sending = Box<dyn Future<Output = std::result::Result<(), HttpError>> + Send>;
type Response = std::result::Result<(hyper::Response<WasiBody>, Sending), HttpError>;

impl WasiHttpHooks for Hosts {
    fn send_request(
        &mut self,
        request: hyper::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Sending,
    ) -> Box<dyn Future<Output = Response> + Send> {
        let tls = request.uri().scheme_str() == Some("https");
        let port = request.uri().port_u16().or(Some(if tls { 443 } else { 80 }));
        let allowed = self.allows(request.uri().host().unwrap_or(""), port);
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
    pub pre: InstancePre<State>,
    worlds: u32,
}

fn worlds_of(component: &Component, engine: &Engine) -> u32 {
    let mut worlds = 0;
    for (name, _) in component.component_type().exports(engine) {
        // Every 0.2.x is one interface for wasmtime's linker and bindings.
        if name.starts_with("wasi:cli/run@0.2") {
            worlds |= RUN;
        } else if name.starts_with("wasi:http/incoming-handler@0.2") {
            worlds |= HTTP;
        }
    }
    worlds
}

unsafe fn load(engine: &Engine, path: &str) -> Result<Loaded> {
    let component = unsafe { Component::deserialize_file(engine, path)? };
    let mut linker = Linker::<State>::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    let worlds = worlds_of(&component, engine);
    Ok(Loaded { pre: linker.instantiate_pre(&component)?, worlds })
}

/// # Safety
/// As `src/wasm/component.h` says; `path` is compiled code that this engine's own compiler made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zl_component_load(
    engine: *const wasm_engine_t,
    path: *const c_char,
    worlds: *mut u32,
    why: *mut c_char,
    why_size: usize,
) -> *mut Loaded {
    unsafe {
        // repr(C) with the engine as its one field; the version is pinned.
        let engine = &*engine.cast::<Engine>();
        match load(engine, &text(path)) {
            Ok(loaded) => {
                *worlds = loaded.worlds;
                Box::into_raw(Box::new(loaded))
            }
            Err(e) => {
                tell(&one_line(&e), why, why_size);
                std::ptr::null_mut()
            }
        }
    }
}

/// # Safety
/// `c` is of `zl_component_load` and not used after.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zl_component_free(c: *mut Loaded) {
    drop(unsafe { Box::from_raw(c) });
}

#[repr(C)]
pub struct Preopen {
    host_path: *const c_char,
    guest_path: *const c_char,
    readonly: bool,
}

#[repr(C)]
pub struct How {
    argv: *const *const c_char,
    env: *const *const c_char,
    preopens: *const Preopen,
    n_preopens: usize,
    allowed_hosts: *const *const c_char,
    outgoing_http: bool,
    tcp: bool,
    udp: bool,
    max_memory: u64,
    max_tables: u64,
    fuel: u64,
    request_timeout_ms: u64,
    max_requests: u32,
}

/// All that a guest needs; nothing of it leads to the host's paths.
pub struct Ready {
    pub pre: InstancePre<State>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    files: Mutex<Option<WasiCtxBuilder>>, // with the preopened folders; for one store
    hosts: Hosts,
    network: (bool, bool), // tcp, udp
    limits: (u64, u64),    // memory, tables
    fuel: u64,
    pub request_timeout_ms: u64,
    pub max_requests: u32,
}

impl Ready {
    fn context(&self, mut b: WasiCtxBuilder) -> WasiCtx {
        let (tcp, udp) = self.network;
        b.inherit_stdio().args(&self.args).envs(&self.env);
        if tcp || udp {
            b.inherit_network(); // of its own namespace: what is there is what the service may reach
        }
        b.allow_tcp(tcp).allow_udp(udp).allow_ip_name_lookup(tcp || udp);
        b.build()
    }

    pub fn store(&self, files: Option<WasiCtxBuilder>) -> Result<Store<State>> {
        let engine = self.pre.engine();
        let state = State {
            wasi: self.context(files.unwrap_or_default()),
            http: WasiHttpCtx::new(),
            hooks: self.hosts.clone(),
            table: ResourceTable::new(),
            limits: Limits::component(self.limits.0, self.limits.1),
        };
        let mut store = Store::new(engine, state);
        store.limiter(|s| &mut s.limits);
        if self.fuel > 0 {
            store.set_fuel(self.fuel)?;
        }
        Ok(store)
    }
}

unsafe fn prepare(c: &Loaded, how: &How) -> Result<Ready> {
    let mut files = WasiCtxBuilder::new();
    // One guest, one thread: reading and writing files need no others.
    files.allow_blocking_current_thread(c.worlds & HTTP == 0);
    for i in 0..how.n_preopens {
        let p = unsafe { &*how.preopens.add(i) };
        let perms = if p.readonly { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
        unsafe { files.preopened_dir(text(p.host_path), text(p.guest_path), perms)? };
    }
    let split = |e: String| e.split_once('=').map(|(k, v)| (k.to_string(), v.to_string()));
    Ok(Ready {
        pre: c.pre.clone(),
        args: unsafe { texts(how.argv) },
        env: unsafe { texts(how.env) }.into_iter().filter_map(split).collect(),
        files: Mutex::new(Some(files)),
        hosts: Hosts {
            allowed: unsafe { texts(how.allowed_hosts) }.iter().map(|h| h.to_ascii_lowercase()).collect(),
            outgoing: how.outgoing_http,
        },
        network: (how.tcp, how.udp),
        limits: (how.max_memory, how.max_tables),
        fuel: how.fuel,
        request_timeout_ms: how.request_timeout_ms,
        max_requests: how.max_requests,
    })
}

/// # Safety
/// As `src/wasm/component.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zl_component_prepare(
    c: *const Loaded,
    how: *const How,
    why: *mut c_char,
    why_size: usize,
) -> *mut Ready {
    match unsafe { prepare(&*c, &*how) } {
        Ok(ready) => Box::into_raw(Box::new(ready)),
        Err(e) => {
            unsafe { tell(&one_line(&e), why, why_size) };
            std::ptr::null_mut()
        }
    }
}

fn one_line(e: &Error) -> String {
    format!("{e:#}").replace('\n', " ")
}

/// A trap as a person reads it: its cause, then the guest's stack.
pub fn trap_text(e: &Error) -> String {
    let cause = match e.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => "interrupt: its time was over".to_string(),
        Some(trap) => trap.to_string().replace("wasm trap: ", ""),
        None => e.root_cause().to_string(),
    };
    let mut out = format!("wasm trap: {cause}");
    if let Some(backtrace) = e.downcast_ref::<WasmBacktrace>() {
        for (i, f) in backtrace.frames().iter().take(64).enumerate() {
            let name = f.func_name().map_or_else(|| format!("function {}", f.func_index()), str::to_string);
            out.push_str(&format!("\n  {i}: {name} (0x{:x})", f.module_offset().unwrap_or(0)));
        }
    }
    out
}

async fn run(ready: &mut Ready) -> Result<i32> {
    let files = ready.files.lock().unwrap().take();
    let mut store = ready.store(files)?;
    store.set_epoch_deadline(1); // counted up once, when its time is over
    let command = CommandPre::new(ready.pre.clone())?.instantiate_async(&mut store).await?;
    let result = command.wasi_cli_run().call_run(&mut store).await?;
    Ok(if result.is_ok() { 0 } else { 1 })
}

/// # Safety
/// `r` is of `zl_component_prepare`; the process is the guest's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zl_component_run(r: *mut Ready, why: *mut c_char, why_size: usize) -> i32 {
    let tokio = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(e) => {
            unsafe { tell(&format!("start its event loop: {e}"), why, why_size) };
            return -1;
        }
    };
    match tokio.block_on(run(unsafe { &mut *r })) {
        Ok(code) => code,
        Err(e) => match e.downcast_ref::<I32Exit>() {
            Some(exit) => exit.0 & 0xff,
            None => {
                unsafe { tell(&trap_text(&e), why, why_size) };
                -1
            }
        },
    }
}
