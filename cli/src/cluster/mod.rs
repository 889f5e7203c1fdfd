//! The two servers of a cluster as the command line knows them: where they are given, what of them may be shown, and
//! whether they can be reached. What they are used for is the engine's affair.
//!
//! Addresses hold passwords. They come from a variable, a file that a variable names, or a flag if there is no password
//! in it; they are handed to the processes that need them and to nobody else. What is shown is a [`Place`].

mod given;
mod place;
mod reach;
mod remembered;

pub use self::given::{Flags, given, one_given};
pub use self::place::{Place, Service};
pub use self::reach::reach;
pub use self::remembered::Remembered;
