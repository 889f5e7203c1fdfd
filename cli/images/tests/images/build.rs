use std::collections::BTreeSet;

use card_images::{ErrorKind, Linkage, Platform, Recipe, assemble, verify};

use crate::workshop::Workshop;

#[test]
fn the_same_inputs_make_the_same_archive_wherever_they_lie() {
    let (one, other) = (Workshop::new(), Workshop::new());
    let mut recipes = [one.recipe(), other.recipe()];
    recipes[0].labels.extend([("a".to_owned(), "1".to_owned()), ("z".to_owned(), "2".to_owned())]);
    recipes[1].labels.extend([("z".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]);
    // Times and modes of the files are no inputs.
    let file = std::fs::File::options().append(true).open(other.binary()).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let first = one.store().build(&recipes[0]).unwrap().image;
    let second = other.store().build(&recipes[1]).unwrap().image;
    assert_eq!(first.manifest_digest, second.manifest_digest);
    let bytes = |image: &card_images::Image| std::fs::read(&image.archive).unwrap();
    assert!(bytes(&first) == bytes(&second), "the archives differ");
    assert_eq!(std::fs::read(&first.sbom).unwrap(), std::fs::read(&second.sbom).unwrap());
    assert_eq!(first.reference().tag, format!("sha-{}", &first.manifest_digest.hex()[..12]));
}

#[test]
fn another_input_is_another_digest() {
    let workshop = Workshop::new();
    let digest = |change: &dyn Fn(&mut Recipe)| {
        let mut recipe = workshop.recipe();
        change(&mut recipe);
        card_images::Digest::of(&assemble(&recipe).unwrap().manifest)
    };
    let digests = BTreeSet::from([
        digest(&|_| ()),
        digest(&|recipe| drop(recipe.labels.insert("a".into(), "1".into()))),
        digest(&|recipe| recipe.version = "9".into()),
        digest(&|recipe| recipe.created = 1_700_000_000),
        digest(&|recipe| recipe.name = "card-worker".into()),
        digest(&|recipe| {
            let ca = workshop.path().join("other.pem");
            std::fs::write(&ca, "-----BEGIN CERTIFICATE-----\nanother\n").unwrap();
            recipe.certificates = Some(ca);
        }),
    ]);
    assert_eq!(digests.len(), 6);
    assert_eq!(
        digest(&|_| ()),
        digest(&|recipe| recipe.repository = "other/place".parse().unwrap()),
        "a name is no input"
    );
}

#[test]
fn what_is_there_is_left_as_it_is_and_what_is_damaged_is_made_again() {
    let workshop = Workshop::new();
    let (store, recipe) = (workshop.store(), workshop.recipe());
    let first = store.build(&recipe).unwrap();
    assert!(!first.reused);
    let written = || std::fs::metadata(&first.image.archive).unwrap().modified().unwrap();
    let before = written();
    let again = store.build(&recipe).unwrap();
    assert!(again.reused);
    assert_eq!((again.image, written()), (first.image.clone(), before));
    let bytes = std::fs::read(&first.image.archive).unwrap();
    std::fs::write(&first.image.archive, &bytes[..bytes.len() / 2]).unwrap();
    assert!(!store.build(&recipe).unwrap().reused);
    assert!(std::fs::read(&first.image.archive).unwrap() == bytes);
    std::fs::write(store.dir().join("images.json"), "nonsense").unwrap();
    assert!(!store.build(&recipe).unwrap().reused, "a list that can't be read is made anew");
    assert_eq!(store.images().unwrap(), [first.image]);
}

#[test]
fn many_builds_at_once_leave_every_image_whole() {
    let workshop = Workshop::new();
    let store = workshop.store();
    std::thread::scope(|scope| {
        for name in ["card-server", "card-worker", "card-generator", "card-server"] {
            let recipe = Recipe { name: name.into(), ..workshop.recipe() };
            let store = store.clone();
            scope.spawn(move || store.build(&recipe).unwrap());
        }
    });
    let images = store.images().unwrap();
    let names: Vec<_> = images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["card-generator", "card-server", "card-worker"]);
    for image in &images {
        assert_eq!(verify::image(image).unwrap().differences, []);
    }
    let left = std::fs::read_dir(store.dir()).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    assert!(left.into_iter().all(|name| !name.starts_with(".partial-")));
}

#[test]
fn a_dynamic_program_takes_its_libraries_along() {
    let workshop = Workshop::new();
    // This test itself.
    let recipe = Recipe { binary: std::env::current_exe().unwrap(), ..workshop.recipe() };
    let assembled = assemble(&recipe).unwrap();
    assert_eq!(assembled.linkage, Linkage::Dynamic);
    let sbom: serde_json::Value = serde_json::from_slice(&assembled.sbom).unwrap();
    let files: Vec<_> =
        sbom["components"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert!(files.iter().any(|name| name.contains("/libc.")), "{files:?}");
    assert!(files.iter().any(|name| name.contains("/ld-")), "{files:?}");
}

#[test]
fn a_program_for_another_platform_is_refused() {
    let workshop = Workshop::new();
    let host = Platform::host().unwrap();
    let other = ["linux/amd64", "linux/arm64"].map(|text| text.parse::<Platform>().unwrap());
    let other = other.into_iter().find(|platform| *platform != host).unwrap();
    let error = assemble(&Recipe { platform: other, ..workshop.recipe() }).unwrap_err();
    assert_eq!((error.code, error.kind), ("wrong-architecture", ErrorKind::Environment));
}

#[test]
fn what_is_not_there_or_no_program_is_named() {
    let workshop = Workshop::new();
    let code = |binary: &str| {
        let recipe = Recipe { binary: workshop.path().join(binary), ..workshop.recipe() };
        assemble(&recipe).unwrap_err().code
    };
    assert_eq!(code("nothing"), "unreadable");
    assert_eq!(code("ca.pem"), "not-elf");
    std::fs::write(workshop.path().join("empty.pem"), "nothing").unwrap();
    let recipe = Recipe { certificates: Some(workshop.path().join("empty.pem")), ..workshop.recipe() };
    assert_eq!(assemble(&recipe).unwrap_err().code, "no-certificates");
}

#[test]
fn a_place_that_can_not_be_written_is_named_with_what_helps() {
    let workshop = Workshop::new();
    // A file where a directory is needed stops even root.
    std::fs::write(workshop.path().join("images"), "in the way").unwrap();
    let error = workshop.store().build(&workshop.recipe()).unwrap_err();
    assert_eq!(error.code, "unwritable");
    assert!(error.fix.unwrap().contains("--out"));
}
