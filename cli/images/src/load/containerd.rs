//! containerd, through its `ctr`.

use std::ffi::OsStr;

use super::{LOOK, Presence, SEND, can_not_look};
use crate::catalog::Image;
use crate::error::ImageError;
use crate::group::{self, Ended};

const PROGRAM: &str = "ctr";

pub(super) async fn presence(image: &Image, namespace: &str) -> Result<Presence, ImageError> {
    let filter = format!("name=={}", image.reference().full());
    // `check`, not `ls`: it also says whether every blob is there.
    let arguments = ["-n", namespace, "images", "check", &filter].map(OsStr::new);
    let ended = group::run(PROGRAM, &arguments, None, LOOK).await?;
    if !ended.well {
        let fix = "start containerd, or set its address: CONTAINERD_ADDRESS=/run/containerd/containerd.sock";
        return Err(can_not_look(PROGRAM, &ended, fix));
    }
    Ok(find(image, &ended.stdout))
}

pub(super) async fn load(image: &Image, namespace: &str) -> Result<Ended, ImageError> {
    let words = ["-n", namespace, "images", "import"].map(OsStr::new);
    group::run(PROGRAM, &[&words, [image.archive.as_os_str()].as_slice()].concat(), None, SEND).await
}

/// Lines of `REF TYPE DIGEST STATUS …`, under a head.
fn find(image: &Image, table: &str) -> Presence {
    let full = image.reference().full();
    let row = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    match row.into_iter().find(|row| row.first() == Some(&full.as_str())).as_deref() {
        Some([_, _, digest, status, ..]) if *digest == image.manifest_digest.as_str() && *status == "complete" => {
            Presence::Same
        }
        Some([_, _, digest, status, ..]) => Presence::Other(format!("{digest}, {status}")),
        _ => Presence::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tests::image;

    #[test]
    fn an_image_is_there_only_whole_and_with_its_digest() {
        let image = image();
        let (name, digest) = (image.reference().full(), image.manifest_digest.clone());
        let head = "REF TYPE DIGEST STATUS SIZE UNPACKED\n";
        let row = |status: &str| format!("{head}{name} application/vnd.oci… {digest} {status} 2.0 MiB/2.0 MiB true\n");
        assert_eq!(find(&image, &row("complete (3/3)")), Presence::Same);
        assert!(matches!(find(&image, &row("incomplete (2/3)")), Presence::Other(_)));
        assert_eq!(find(&image, head), Presence::Absent);
        assert_eq!(find(&image, ""), Presence::Absent);
    }
}
