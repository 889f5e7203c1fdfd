//! `docs/reference/errors.md` has every code that an error of the program can have.

use std::collections::BTreeSet;
use std::path::Path;

use cardctl::codes::{self, CODES};
use regex::Regex;

use super::{assert_same, quoted, read, root, rows};

const PAGE: &str = "docs/reference/errors.md";

#[test]
fn each_error_code_is_on_its_page() {
    let page = read(PAGE);
    let on_page: Vec<String> = rows(page.lines()).iter().flat_map(|row| quoted(&row[0])).collect();
    assert_same(PAGE, on_page.clone(), CODES.iter().map(|code| (*code).to_owned()).collect());
    let once: BTreeSet<&String> = on_page.iter().collect();
    assert_eq!(once.len(), on_page.len(), "a code has one row");
    assert!(CODES.is_sorted());
}

/// The list is checked where a failure is made, in tests that come there; this finds the others.
#[test]
fn each_error_code_in_the_source_is_in_the_list() {
    let made = [
        r#"(?:Failure|ImageError|Self)::new\(\s*"([a-z]+(?:-[a-z]+)*)"\s*,"#,
        r#""([a-z]+(?:-[a-z]+)*)",\s*(?:(?:crate|card_core)::exit::)?(?:Exit|ErrorKind)::"#,
    ]
    .map(|pattern| Regex::new(pattern).unwrap());
    let mut found = BTreeSet::new();
    for folder in ["cli/src", "cli/images/src"] {
        sources(&root().join(folder), &mut |text| {
            // Unit tests stand at the end.
            let text = text.split("#[cfg(test)]").next().unwrap();
            for pattern in &made {
                found.extend(pattern.captures_iter(text).map(|found| found[1].to_owned()));
            }
        });
    }
    assert!(found.len() > 80, "the pattern finds them: {}", found.len());
    let unknown: Vec<&String> = found.iter().filter(|code| !codes::is_known(code)).collect();
    assert!(unknown.is_empty(), "add to codes::CODES and {PAGE}: {unknown:?}");
}

/// Shows every source file below a folder.
pub(super) fn sources(folder: &Path, see: &mut impl FnMut(&str)) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, see);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            see(&std::fs::read_to_string(path).unwrap());
        }
    }
}
