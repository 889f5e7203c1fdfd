//! What a registry answers to who has not shown anything: how it wants to be convinced.

use reqwest::Url;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// `Bearer realm="…",service="…"`: somebody else gives out tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bearer {
    pub(super) realm: Url,
    pub(super) service: Option<String>,
}

impl Bearer {
    /// The one among the challenges of an answer; none if there is none. A realm is seen from where the answer is from.
    pub(super) fn of(headers: &HeaderMap, from: &Url) -> Option<Self> {
        let all = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        all.filter_map(bearer).find_map(|parameters| {
            let find = |name: &str| parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let realm = from.join(&find("realm")?.1).ok().filter(Url::has_host)?;
            Some(Self { realm, service: find("service").map(|(_, value)| value.clone()) })
        })
    }
}

/// The parameters of the challenge `Bearer` in a header that may have several (RFC 9110, 11.6.1).
fn bearer(header: &str) -> Option<Vec<(String, String)>> {
    let mut parameters = None;
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        let end = rest.find([' ', ',', '=', '\t']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = match after.strip_prefix('=') {
            Some(value) => {
                let (value, after) = read(value);
                if let Some(parameters) = &mut parameters {
                    let parameters: &mut Vec<_> = parameters;
                    parameters.push((word.to_owned(), value));
                }
                after
            }
            // A word without a value begins the next challenge.
            None if parameters.is_some() && !word.is_empty() => break,
            None => {
                if word.eq_ignore_ascii_case("bearer") {
                    parameters = Some(Vec::new());
                }
                after
            }
        };
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    parameters
}

/// A value, quoted or not, and what comes after it.
fn read(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            letter => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn of(challenges: &[&str]) -> Option<(String, Option<String>)> {
        let from = Url::parse("https://r.example/v2/").unwrap();
        let values = challenges.iter().map(|value| (WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap()));
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(name, value);
        }
        Bearer::of(&headers, &from).map(|Bearer { realm, service }| (realm.to_string(), service))
    }

    #[test]
    fn every_way_to_write_a_challenge_is_read() {
        let token = |realm: &str, service: Option<&str>| Some((realm.to_owned(), service.map(str::to_owned)));
        for (challenges, is) in [
            (
                &[r#"Bearer realm="https://a.example/token",service="x""#][..],
                token("https://a.example/token", Some("x")),
            ),
            (
                &[r#"bearer service="x y" , Realm="https://a.example/t?a=b,c""#],
                token("https://a.example/t?a=b,c", Some("x y")),
            ),
            (&["Bearer realm=https://a.example/token,service=x"], token("https://a.example/token", Some("x"))),
            (&[r#"Bearer realm="/token""#], token("https://r.example/token", None)),
            (&[r#"Bearer realm="token",scope="a,b""#], token("https://r.example/v2/token", None)),
            (&[r#"Bearer realm="//other.example/token""#], token("https://other.example/token", None)),
            (&[r#"Basic realm="Bearer x", Bearer realm="https://a.example/""#], token("https://a.example/", None)),
            (&[r#"Bearer realm="https://a.example/", Basic realm="b",service="c""#], token("https://a.example/", None)),
            (&[r#"Basic realm="b""#, r#"Bearer realm="https://a.example/\"q""#], token("https://a.example/%22q", None)),
            (&[r#"Basic realm="Registry Realm""#], None),
            (&["Bearer"], None),
            (&[r#"Bearer realm="https://""#], None),
            (&[], None),
        ] {
            assert_eq!(of(challenges), is, "{challenges:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_challenge_is_read_or_none(text in "[ -~]{0,80}") {
            let _ = of(&[&text]);
            let _ = of(&[&format!("Bearer {text}")]);
        }
    }
}
