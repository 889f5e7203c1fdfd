//! What must hold of the whole file.

use super::render;
use crate::report::fixture;

#[test]
fn look() {
    std::fs::write("/tmp/html/report.html", render(&fixture::report())).unwrap();
    std::fs::write("/tmp/html/empty.html", render(&fixture::empty())).unwrap();
}
