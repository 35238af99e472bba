// SPDX-License-Identifier: Apache-2.0
//! wasmtime's C API, re-exported, and what it does not reach: components (`component.rs`,
//! `serve.rs`), and a limit of memory that tells when it refuses. The C side of it is
//! `src/wasm/component.h`; every struct here has the layout that is declared there.

pub use wasmtime_c_api::*;

mod component;
mod limits;
mod serve;

use std::ffi::{CStr, c_char};

/// Copies `text` into the caller's buffer, cut off where it ends, with a NUL.
///
/// # Safety
/// `out` has room for `size` bytes.
unsafe fn tell(text: &str, out: *mut c_char, size: usize) {
    let n = text.len().min(size.saturating_sub(1));
    if size > 0 {
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), out.cast(), n);
            *out.add(n) = 0;
        }
    }
}

/// A C string as text; what is not UTF-8 in it is replaced.
///
/// # Safety
/// `s` is a NUL-terminated string.
unsafe fn text(s: *const c_char) -> String {
    unsafe { CStr::from_ptr(s) }.to_string_lossy().into_owned()
}

/// The strings of a NULL-terminated array.
///
/// # Safety
/// `list` is such an array.
unsafe fn texts(list: *const *const c_char) -> Vec<String> {
    let mut all = Vec::new();
    let mut at = list;
    unsafe {
        while !at.is_null() && !(*at).is_null() {
            all.push(text(*at));
            at = at.add(1);
        }
    }
    all
}
