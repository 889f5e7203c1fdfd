//! References of images as flags have them.

/// As it is, if it could be an image: neither an address nor anything before an `@` but a name.
///
/// # Errors
/// What it must be. It is not repeated: what looks like an address may hold a password.
pub fn reference(text: &str) -> Result<String, String> {
    let is_digest = |digest: &str| {
        digest.split_once(':').is_some_and(|(algorithm, hex)| {
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'_');
            algorithm.bytes().all(is_word) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let is_image = match text.split_once('@') {
        Some((name, digest)) => !name.is_empty() && is_digest(digest),
        None => !text.is_empty(),
    };
    if is_image && !text.contains("://") {
        return Ok(text.to_owned());
    }
    Err("must be an image such as registry.example/cards/card-server@sha256:DIGEST, without http:// and without a password"
        .to_owned())
}

/// `NAME=REFERENCE`.
///
/// # Errors
/// As [`reference`], or it is no pair.
pub fn named_reference(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, image)) if !name.is_empty() => Ok((name.to_owned(), reference(image)?)),
        _ => Err("must be NAME=REFERENCE, such as card-server=registry.example/card-server@sha256:DIGEST".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_no_address_and_holds_no_password() {
        for image in ["postgres:17", "localhost:5000/a/b:1", "r.example/a@sha256:0123abcd", "r.example/a:1@sha512:ab"] {
            assert_eq!(reference(image).as_deref(), Ok(image));
        }
        for image in
            ["", "http://r.example/a", "u:hunter2@r.example/a:1", "https://u:hunter2@r.example/a", "u@r.example/a"]
        {
            assert!(reference(image).is_err_and(|why| !why.contains("hunter2")), "{image}");
        }
    }
}
