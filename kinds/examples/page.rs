//! Prints docs/reference/kinds.md.

#[expect(clippy::print_stdout, reason = "that is what it is for")]
fn main() {
    print!("{}", card_kinds::page(&card_kinds::Registry::default()));
}
