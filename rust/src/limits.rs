// SPDX-License-Identifier: Apache-2.0
//! How much memory a guest may have and has, and telling when it asked for more.

use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::{ResourceLimiter, Result, Store};
use wasmtime_c_api::{WasmtimeStoreData, wasmtime_store_t};

pub struct Limits {
    pub max_memory: u64, // bytes of all memories together; 0: no limit
    pub max_tables: u64, // elements of all tables together; 0: no limit
    refused: Option<extern "C" fn(u64)>,
    instances: usize,
    counter: Counter,
    mine: u64, // of what counter counts
    tables: u64,
}

/// The bytes of linear memory of all stores of the process, where its monitor reads them.
pub type Counter = Option<&'static AtomicU64>;

impl Limits {
    /// Of a component, which is made of several instances.
    pub fn component(max_memory: u64, max_tables: u64, counter: Counter) -> Limits {
        Limits { max_memory, max_tables, refused: None, instances: 1000, counter, mine: 0, tables: 0 }
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

/// What its own maximum refuses is between the guest and its maker: it is not had, so it does not count.
fn can_be(desired: usize, maximum: Option<usize>) -> bool {
    maximum.is_none_or(|m| desired <= m)
}

/// Nothing is taken back when growing fails: the engine says so as well of what it never asked about
/// here (more than a memory of its type can be), and a guest must not get rid of what it has by that.
impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let more = (desired - current) as u64;
        let all = self.mine.saturating_add(more);
        let fits = self.max_memory == 0 || all <= self.max_memory;
        if !can_be(desired, maximum) {
            return Ok(fits);
        }
        if fits {
            self.count(more);
        } else if let Some(refused) = self.refused {
            refused(all);
        }
        Ok(fits)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let all = self.tables.saturating_add((desired - current) as u64);
        let fits = self.max_tables == 0 || all <= self.max_tables;
        if fits && can_be(desired, maximum) {
            self.tables = all;
        }
        Ok(fits)
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
