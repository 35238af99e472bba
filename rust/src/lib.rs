// SPDX-License-Identifier: Apache-2.0
//! wasmtime's C API, re-exported, and what it does not reach: components (`component.rs`,
//! `serve.rs`), and a limit of memory that tells when it refuses. The contract of every function
//! and the layout of every struct are in `src/wasm/component.h`.
#![allow(clippy::missing_safety_doc)]

pub use wasmtime_c_api::*;

mod component;
mod limits;
mod serve;
