// SPDX-License-Identifier: Apache-2.0
//! wasmtime's C API, re-exported, and what it does not reach: components (`component.rs`,
//! `serve.rs`), and a limit of memory that tells when it refuses. The C side of it is
//! `src/wasm/component.h`; every struct here has the layout that is declared there.

pub use wasmtime_c_api::*;

mod component;
mod limits;
mod serve;
