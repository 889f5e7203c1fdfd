//! The verdict as JUnit XML, which every CI system reads.

use std::fmt::Write;
use std::path::Path;

use super::artifacts::unwritable;
use super::runner::Verdict;
use crate::failure::Failure;

pub(super) fn write(file: &Path, verdict: &Verdict) -> Result<(), Failure> {
    let written = match file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => std::fs::create_dir_all(parent),
        None => Ok(()),
    };
    written.and_then(|()| std::fs::write(file, render(verdict))).map_err(|error| unwritable(file, &error))
}

fn render(verdict: &Verdict) -> String {
    let steps = &verdict.steps;
    let failures = steps.iter().filter(|step| !step.ok).count();
    let skipped = steps.iter().filter(|step| step.ok && step.skipped).count();
    let total: u64 = steps.iter().map(|step| step.ms).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string can't fail.
    let _ = writeln!(
        xml,
        "<testsuite name=\"cardctl smoke\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\" time=\"{}\">",
        steps.len(),
        seconds(total)
    );
    for step in steps {
        let (name, detail) = (escape(&step.name), escape(&step.detail));
        let _ = write!(xml, "  <testcase classname=\"smoke\" name=\"{name}\" time=\"{}\"", seconds(step.ms));
        let _ = match (step.ok, step.skipped) {
            (false, _) => writeln!(xml, "><failure message=\"{detail}\"/></testcase>"),
            (true, true) => writeln!(xml, "><skipped message=\"{detail}\"/></testcase>"),
            (true, false) => writeln!(xml, "><system-out>{detail}</system-out></testcase>"),
        };
    }
    xml.push_str("</testsuite>\n");
    xml
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// XML has no way to write most control characters, so they are left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::runner::Step;
    use super::*;

    #[test]
    fn a_report_counts_and_escapes() {
        let step = |name: &str, ok, skipped, detail: &str| Step {
            name: name.to_owned(),
            ok,
            skipped,
            ms: 1234,
            detail: detail.to_owned(),
            exit: None,
        };
        let verdict = Verdict::of(
            "run_x".parse().unwrap(),
            7,
            vec![
                step("a", true, false, "fine"),
                step("b", false, false, "1 < 2 & \"x\"\u{1b}[0m"),
                step("c", true, true, "no"),
            ],
        );
        let xml = render(&verdict);
        assert!(xml.contains("tests=\"3\" failures=\"1\" skipped=\"1\" time=\"3.702\""), "{xml}");
        assert!(xml.contains("<failure message=\"1 &lt; 2 &amp; &quot;x&quot;[0m\"/>"), "{xml}");
    }
}
