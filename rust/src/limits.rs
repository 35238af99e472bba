// SPDX-License-Identifier: Apache-2.0
//! How much memory a guest may have and has, and telling when it asked for more.

use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::{ResourceLimiter, Result, Store};
use wasmtime_c_api::{WasmtimeStoreData, wasmtime_store_t};

pub struct Limits {
    pub max_memory: u64, // bytes; 0: no limit
    pub max_tables: u64, // elements; 0: no limit
    refused: Option<extern "C" fn(u64)>,
    instances: usize,
    counter: Counter,
    mine: u64, // of what counter counts
    last: u64, // of mine: it may turn out not to be had
}

/// The bytes of linear memory of all stores of the process, where its monitor reads them.
pub type Counter = Option<&'static AtomicU64>;

impl Limits {
    /// Of a component, which is made of several instances.
    pub fn component(max_memory: u64, max_tables: u64, counter: Counter) -> Limits {
        Limits { max_memory, max_tables, refused: None, instances: 1000, counter, mine: 0, last: 0 }
    }

    /// Less is more by its complement.
    fn count(&mut self, bytes: u64) {
        self.mine = self.mine.wrapping_add(bytes);
        if let Some(all) = self.counter {
            all.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.count(self.mine.wrapping_neg());
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let fits = self.max_memory == 0 || desired as u64 <= self.max_memory;
        // What its own maximum refuses is between the guest and its maker.
        if !fits && maximum.is_none_or(|m| desired <= m) {
            if let Some(refused) = self.refused {
                refused(desired as u64);
            }
        }
        self.last = if fits { (desired - current) as u64 } else { 0 };
        self.count(self.last);
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> Result<()> {
        self.count(self.last.wrapping_neg());
        self.last = 0;
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(self.max_tables == 0 || desired as u64 <= self.max_tables)
    }

    fn instances(&self) -> usize {
        self.instances
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn zl_store_limit(
    store: *mut wasmtime_store_t,
    max_memory: u64,
    max_tables: u64,
    refused: Option<extern "C" fn(u64)>,
    counter: Counter,
) {
    // As in component.rs: a store of the C API, and used by this thread only.
    let store = unsafe { &mut *store.cast::<Store<WasmtimeStoreData>>() };
    let limits = Limits { refused, instances: 1, ..Limits::component(max_memory, max_tables, counter) };
    let limits = Box::leak(Box::new(limits)) as *mut Limits as usize; // the closure must be Send; there is one thread
    store.limiter(move |_| unsafe { &mut *(limits as *mut Limits) });
}
