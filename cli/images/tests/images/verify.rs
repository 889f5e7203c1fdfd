use std::path::PathBuf;

use card_images::{Image, verify};
use proptest::prelude::*;

use crate::workshop::Workshop;

fn built(workshop: &Workshop) -> Image {
    workshop.store().build(&workshop.recipe()).unwrap().image
}

fn damaged(workshop: &Workshop, bytes: &[u8]) -> PathBuf {
    let path = workshop.path().join("damaged.tar");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_whole_archive_and_a_whole_layout_have_no_differences() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let verified = verify::path(&image.archive).unwrap();
    assert_eq!((verified.differences, verified.blobs), (vec![], 3));
    assert_eq!(verified.bytes, image.size);
    let layout = workshop.store().write_layout().unwrap();
    assert_eq!(verify::path(&layout).unwrap().differences, []);
}

#[test]
fn a_layout_loses_what_nobody_names_any_more() {
    let workshop = Workshop::new();
    built(&workshop);
    let layout = workshop.store().write_layout().unwrap();
    let mut recipe = workshop.recipe();
    recipe.labels.insert("a".into(), "1".into());
    workshop.store().build(&recipe).unwrap();
    assert_eq!(workshop.store().write_layout().unwrap(), layout);
    let verified = verify::path(&layout).unwrap();
    assert_eq!((verified.differences, verified.blobs), (vec![], 3));
}

#[test]
fn a_blob_that_is_gone_or_another_is_named() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let layout = workshop.store().write_layout().unwrap();
    let blob = layout.join("blobs/sha256").join(image.config_digest.hex());
    std::fs::write(&blob, b"{}").unwrap();
    let differences = verify::path(&layout).unwrap().differences;
    assert!(differences.iter().any(|difference| difference.subject == image.config_digest.as_str()), "{differences:?}");
    std::fs::remove_file(&blob).unwrap();
    let differences = verify::path(&layout).unwrap().differences;
    assert!(differences.iter().any(|difference| difference.actual == "nothing"), "{differences:?}");
}

#[test]
fn an_archive_of_another_image_is_not_the_one_that_was_built() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let other = Workshop::new();
    let mut recipe = other.recipe();
    recipe.version = "another".into();
    let there = other.store().build(&recipe).unwrap().image;
    std::fs::copy(&there.archive, &image.archive).unwrap();
    assert_eq!(verify::path(&image.archive).unwrap().differences, [], "it is whole");
    assert_eq!(verify::image(&image).unwrap().differences.len(), 3, "and it is another");
}

#[test]
fn what_is_no_archive_is_an_error() {
    let workshop = Workshop::new();
    assert_eq!(verify::path(&workshop.binary()).unwrap_err().code, "not-an-image");
    assert_eq!(verify::path(&workshop.path().join("nothing")).unwrap_err().code, "unreadable");
    std::fs::create_dir(workshop.path().join("empty")).unwrap();
    assert_eq!(verify::path(&workshop.path().join("empty")).unwrap_err().code, "not-an-image");
}

#[test]
fn an_archive_that_is_cut_off_anywhere_is_found_out() {
    let workshop = Workshop::new();
    let bytes = std::fs::read(built(&workshop).archive).unwrap();
    // The last two blocks are zeros that say "the end": a tar without them is whole.
    let content = bytes.len() - 1024;
    for keep in (0..40).map(|n| content * n / 40).chain([content - 1, content - 512]) {
        let path = damaged(&workshop, &bytes[..keep]);
        let is_fine = verify::path(&path).is_ok_and(|verified| verified.differences.is_empty());
        assert!(!is_fine, "cut off at {keep} of {content}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn a_byte_of_a_blob_that_differs_is_found_out(place: prop::sample::Index, change in 1_u8..) {
        let workshop = Workshop::new();
        let image = built(&workshop);
        let mut bytes = std::fs::read(&image.archive).unwrap();
        // Within the layer, which is nearly all of it.
        let layer = usize::try_from(image.size - 4096).unwrap();
        let at = 4096 + place.index(layer - 4096);
        bytes[at] ^= change;
        let path = damaged(&workshop, &bytes);
        prop_assert!(!verify::path(&path).is_ok_and(|verified| verified.differences.is_empty()), "at {}", at);
    }
}
