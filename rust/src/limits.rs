// SPDX-License-Identifier: Apache-2.0
//! How much memory a guest may have, and telling when it asked for more.

use wasmtime::{ResourceLimiter, Result, Store};
use wasmtime_c_api::{WasmtimeStoreData, wasmtime_store_t};

pub struct Limits {
    pub max_memory: u64, // bytes; 0: no limit
    pub max_tables: u64, // elements; 0: no limit
    pub refused: Option<extern "C" fn(u64)>,
    instances: usize,
}

impl Limits {
    /// Of a component, which is made of several instances.
    pub fn component(max_memory: u64, max_tables: u64) -> Limits {
        Limits { max_memory, max_tables, refused: None, instances: 1000 }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let fits = self.max_memory == 0 || desired as u64 <= self.max_memory;
        // What its own maximum refuses is between the guest and its maker.
        if !fits && maximum.is_none_or(|m| desired <= m) {
            if let Some(refused) = self.refused {
                refused(desired as u64);
            }
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(self.max_tables == 0 || desired as u64 <= self.max_tables)
    }

    fn instances(&self) -> usize {
        self.instances
    }
}

/// # Safety
/// `store` is a store of the C API and used by this thread only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zl_store_limit(
    store: *mut wasmtime_store_t,
    max_memory: u64,
    max_tables: u64,
    refused: Option<extern "C" fn(u64)>,
) {
    // wasmtime_store_t is repr(C) with the store as its one field, which is private to its crate;
    // the version is pinned.
    let store = unsafe { &mut *store.cast::<Store<WasmtimeStoreData>>() };
    let limits: &'static mut Limits =
        Box::leak(Box::new(Limits { max_memory, max_tables, refused, instances: 1 }));
    let limits = limits as *mut Limits as usize; // the closure must be Send; there is one thread
    store.limiter(move |_| unsafe { &mut *(limits as *mut Limits) });
}
