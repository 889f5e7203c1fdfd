//! Kinds that are no part of the product, for tests that bring one at run time.

mod gift;

pub use self::gift::Gift;
