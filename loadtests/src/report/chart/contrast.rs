//! Whether the page can be read: the contrast of its colours, by the Web Content Accessibility Guidelines.

use std::collections::BTreeMap;

use super::COLOURS;

/// Text needs 4.5 to 1, lines and marks 3 to 1.
const TEXT: [(&str, &[&str]); 7] = [
    ("ink", &["paper", "ground", "pass-ground", "fail-ground", "unsure-ground"]),
    ("soft", &["paper", "ground", "none-ground"]),
    ("pass", &["pass-ground"]),
    ("fail", &["fail-ground", "paper"]),
    ("unsure", &["unsure-ground", "paper"]),
    ("paper", &["pass", "fail", "unsure"]),
    ("blue", &["paper"]),
];
const LINES: [&str; 6] = ["blue", "orange", "purple", "green", "fail", "grey"];

#[test]
fn text_and_lines_stand_out_in_light_and_dark() {
    let light = colours(&COLOURS[..COLOURS.find("@media").unwrap()]);
    let mut dark = light.clone();
    dark.extend(colours(COLOURS.split_once("prefers-color-scheme: dark").unwrap().1.split_once("\n}").unwrap().0));
    assert_ne!(light, dark);
    for scheme in [light, dark] {
        for (text, grounds) in TEXT {
            for ground in grounds {
                let contrast = contrast(scheme[text], scheme[*ground]);
                assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
            }
        }
        for line in LINES {
            for ground in ["paper", "ramp", "drain"] {
                let contrast = contrast(scheme[line], scheme[ground]);
                assert!(contrast >= 3.0, "{line} on {ground}: {contrast:.2}");
            }
        }
    }
}

fn colours(style: &str) -> BTreeMap<&str, [f64; 3]> {
    let declared = style.split(';').filter_map(|line| line.trim().rsplit_once("--")?.1.split_once(": #"));
    let channel = |hex: &str, at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
    declared.map(|(name, hex)| (name, [0, 2, 4].map(|at| channel(hex, at)))).collect()
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(colour: [f64; 3]) -> f64 {
    let [red, green, blue] = colour.map(|c| if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}
