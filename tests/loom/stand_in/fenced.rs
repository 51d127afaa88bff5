//! Atomics whose SeqCst accesses have one order, by fences.

pub use loom::sync::atomic::Ordering;
use loom::sync::atomic::fence;

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        #[derive(Debug)]
        pub struct $name(loom::sync::atomic::$name);

        impl $name {
            pub fn new(value: $value) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            pub fn load(&self, order: Ordering) -> $value {
                if order == Ordering::SeqCst {
                    fence(Ordering::SeqCst);
                    return self.0.load(Ordering::Acquire);
                }
                self.0.load(order)
            }

            pub fn store(&self, value: $value, order: Ordering) {
                if order == Ordering::SeqCst {
                    self.0.store(value, Ordering::Release);
                    return fence(Ordering::SeqCst);
                }
                self.0.store(value, order);
            }

            pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.0.fetch_add(value, order)
            }

            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                self.0.swap(value, order)
            }

            pub fn compare_exchange_weak(
                &self,
                old: $value,
                new: $value,
                ok: Ordering,
                no: Ordering,
            ) -> Result<$value, $value> {
                self.0.compare_exchange_weak(old, new, ok, no)
            }
        }
    };
}
atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
