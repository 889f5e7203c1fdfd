//! Links and anchors of the pages, and the pages that the source names.

use std::collections::HashMap;
use std::path::Path;

use regex::Regex;

use super::{pages, read, root};

/// A page's text without its code blocks.
fn prose(page: &str) -> String {
    let mut code = false;
    let keep = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !fence && !code
    };
    page.lines().filter(keep).collect::<Vec<_>>().join("\n")
}

/// The anchors of a page as GitHub makes them of its headings.
fn anchors(page: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut anchors = Vec::new();
    let link = Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap();
    for line in prose(page).lines().filter(|line| line.starts_with('#')) {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        // A link in a heading counts by its text.
        let title = link.replace_all(&title, "$1");
        let kept = title.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        let anchor: String = kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect();
        let times = seen.entry(anchor.clone()).or_default();
        anchors.push(if *times == 0 { anchor } else { format!("{anchor}-{times}") });
        *times += 1;
    }
    anchors
}

fn leads_somewhere(from: &Path, link: &str) -> bool {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { from.to_owned() } else { from.parent().unwrap().join(file) };
    let Ok(target) = root().join(target).canonicalize() else { return false };
    match anchor {
        None => true,
        Some(anchor) => {
            std::fs::read_to_string(target).is_ok_and(|page| anchors(&page).iter().any(|one| one == anchor))
        }
    }
}

#[test]
fn each_link_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut broken = Vec::new();
    for path in pages() {
        for found in link.captures_iter(&prose(&read(&path))) {
            let link = &found[1];
            if !link.contains("://") && !leads_somewhere(Path::new(&path), link) {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn each_page_that_the_source_names_is_there() {
    let named = Regex::new(r"docs/[a-zA-Z0-9/_-]+\.md(#[a-z0-9-]+)?").unwrap();
    let mut missing = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                let skipped = ["target", ".git", "node_modules"];
                if !skipped.iter().any(|skipped| name == *skipped) {
                    folders.push(path);
                }
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            for found in named.find_iter(&text) {
                if !leads_somewhere(Path::new("README.md"), found.as_str()) {
                    missing.push(format!("{}: {}", path.strip_prefix(root()).unwrap().display(), found.as_str()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// `<!-- file: PATH -->` before a block: it is that file, which readers take and tests run.
#[test]
fn each_file_that_a_page_shows_is_as_it_shows_it() {
    let shown = Regex::new(r"(?s)<!-- file: (\S+) -->\n```\w+\n(.*?)```").unwrap();
    let mut count = 0;
    for path in pages() {
        for found in shown.captures_iter(&read(&path)) {
            count += 1;
            let file = root().join(Path::new(&path).parent().unwrap()).join(&found[1]);
            let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {}: {error}", &found[1]));
            assert!(text == found[2], "{path} shows another {} than there is", &found[1]);
        }
    }
    assert!(count >= 4, "the pattern finds them");
}
