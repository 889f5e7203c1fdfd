//! What containers write.

mod line;

pub use self::line::plain;
