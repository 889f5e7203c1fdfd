use proptest::prelude::*;

use super::*;

#[test]
fn what_must_not_be_written_is_not() {
    for (text, masked) in [
        ("card 4111 1111 1111 1111 of", "card [card] of"),
        ("pan=5500005555555559;", "pan=[card];"),
        ("mail ada.lovelace+x@example.co.uk!", "mail [email]!"),
        ("to=ada%40example.com", "to=[email]"),
        ("call +49 (170) 123-4567 now", "call [phone] now"),
        (r#"{"password":"hunter2 \" x","a":1}"#, r#"{"password":"[secret]","a":1}"#),
        ("password=hunter2&x=1", "password=[secret]&x=1"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: [secret]"),
        ("with Bearer abc.def-ghi it", "with Bearer [token] it"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_d", "jwt [token]"),
        ("no answer from postgres://card:s@cr/t@db:5432/card", "no answer from postgres://[credentials]@db:5432/card"),
        ("the secret card-secrets with its password", "the secret card-secrets with its password"),
        (
            "kubectl create secret generic card-secrets --from-file x",
            "kubectl create secret generic card-secrets --from-file x",
        ),
        ("fix: --database postgres://USER@HOST/DATABASE", "fix: --database postgres://USER@HOST/DATABASE"),
        ("postgres://USERX@HOST/DATABASE", "postgres://[credentials]@HOST/DATABASE"),
        (r#"{"url":"rediss://:hunter2@cache"}"#, r#"{"url":"rediss://[credentials]@cache"}"#),
        ("redis-sentinel://:a@one:1,:b@two:2/name", "redis-sentinel://[credentials]@two:2/name"),
        ("used rt_0123456789abcdefXYZ twice", "used [token] twice"),
    ] {
        assert_eq!(mask(text), masked);
    }
}

#[test]
fn a_secret_is_known_by_the_name_of_what_holds_it() {
    for text in [
        "cvv=hunter2 token=hunter2 pwd=hunter2",
        "password: hunter2",
        "password : 'hunter2'",
        "PGPASSWORD=hunter2 psql",
        r#"AWS_SECRET_ACCESS_KEY="hunter2" "/bin/plugin" "--client-secret" "hunter2""#,
        "/bin/plugin --client-secret hunter2 --token=hunter2",
        r#"{name: AWS_SECRET_ACCESS_KEY, value: hunter2}"#,
        r#"{"name":"API_TOKEN","value":"hunter2"}"#,
        r#"{\"password\":\"hunter2\",\"a\":\"b\"}"#,
        r#"Login { user: "ada", password: Some("hunter2") }"#,
        "api-key: hunter2",
        "access_token%3Dhunter2",
        "Cookie: session=hunter2",
        r#"{"authorization": "hunter2 hunter2"}"#,
        r#"{"auths":{"x":{"auth":"hunter2"}}}"#,
        "cannot connect to ada:hunter2@db:5432",
        "client-key-data: hunter2",
        "host=db user=ada password=hunter2 dbname=x",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
        r"-----BEGIN PRIVATE KEY-----\nhunter2",
    ] {
        let text = text.replace("cvv=hunter2", "cvv=123");
        let masked = mask(&text);
        assert!(!masked.contains("hunter2") && !masked.contains("123"), "{text} became {masked}");
    }
    for (text, masked) in [
        ("Basic dXNlcjpwYXNz", "Basic [secret]"),
        ("Basic authentication is not supported", "Basic authentication is not supported"),
        ("cvc 123, CVV2: 4567", "cvc [secret], CVV2: [secret]"),
        (r#"{"pin":1234,"tokens":{"a":1},"token":null}"#, r#"{"pin":"[secret]","tokens":{"a":1},"token":null}"#),
        (r#"{\"pin\":1234}"#, r#"{\"pin\":\"[secret]\"}"#),
        ("dckr_pat_abcdefgh123 and AKIAIOSFODNN7EXAMPLE", "[token] and [token]"),
        ("aGVsbG8= LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVk=", "aGVsbG8= [key]"),
    ] {
        assert_eq!(mask(text), masked);
    }
}

#[test]
fn a_card_number_is_known_however_it_is_written() {
    for text in [
        "4111111111111111-12",
        "4111111111111111 12/29",
        "4111111111111111/1229/123",
        "4111-1111-1111-1111-12",
        "4111/1111/1111/1111",
        "4111.1111.1111.1111",
        "4111_1111_1111_1111_declined",
        "4111 - 1111 - 1111 - 1111",
        "4111\u{a0}1111\u{2009}1111\u{202f}1111",
        "4111\u{200b}1111\u{200b}1111\u{200b}1111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "41 11 11 11 11 11 11 11",
        "4111%201111%201111%201111",
        "4111%C2%A01111%C2%A01111%C2%A01111",
        "%34%31%31%31%31%31%31%31%31%31%31%31%31%31%31%31",
        r"4111\u00a01111\u00a01111\u00a01111",
        r"\u0034111111111111111",
        "４１１１１１１１１１１１１１１１",
        "٤١١١١١١١١١١١١١١١",
        "iss4111111111111111",
        "4111111111111111D29121010000",
        ";4111111111111111=29121010000?",
        "41111111111111111229",
        "3782 822463 10005",
        "378282246310005 0427",
        r#"{"card":"4111111111111111","status":"12"}"#,
        r#"{"card":4111111111111111}"#,
        "2223003122003222",
    ] {
        let line = format!("x {text} y");
        let masked = mask(&line);
        assert!(masked.contains("[card]"), "{line} became {masked}");
        let digits = letters::letters(&masked).iter().filter(|letter| letter.digit().is_some()).count();
        assert!(digits < 12, "{line} became {masked}");
    }
}

#[test]
fn ids_times_and_sentences_are_left_alone() {
    for text in [
        "task tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b settled at 2026-11-20T13:11:00.123456Z",
        "2026-11-30 12:13:26.123456 WARN 2026-12-31T23:59:59.999999999+01:00",
        "http://127.0.0.1:7500/issue answered 503",
        "took 1732108260123456 us, 12 of 5000000",
        "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00000000-4111-1111-1111-111111111111",
        "trace a4111111111111111bcdef0123456789",
        "the token is not valid; the password was wrong",
        "/password: must have 8 to 128 characters",
        "card-server:0.1@sha256:4111111111111111aaaaaaaaaaaaaaaa",
        "error[operator-token]: the operator token can't be read",
        "p50 12 ms, p90 34 ms, p99 45 ms of 3000 4000 5000",
        "192.168.100.200:54321 and [fd00::1]:7400",
        "gke_project_europe-west1-b_cluster, kubernetes-admin@kubernetes",
    ] {
        assert_eq!(mask(text), text);
    }
    assert_eq!(secrets("admin@cluster.example.org"), "admin@cluster.example.org");
}

#[test]
fn a_line_of_json_stays_one() {
    for value in [
        serde_json::json!({"password": "a\"b\\", "token": 17, "secret": null, "n": {"pwd": "x", "a": ["4111111111111111"]}}),
        serde_json::json!({"message": r#"{"password":"hunter2","b":1}"#, "cookie": "a=b", "authorization": "Basic eHh4eHg6eQ=="}),
        serde_json::json!({"a": "postgres://u:p@h/d", "auth": "QUJD", "cvv": "123", "pin": 1234, "card": 4_111_111_111_111_111_u64}),
    ] {
        let masked = mask(&value.to_string()).into_owned();
        assert!(serde_json::from_str::<serde_json::Value>(&masked).is_ok(), "{masked}");
    }
}

/// A number that begins as cards do and passes Luhn's check.
fn number() -> impl Strategy<Value = String> {
    (400_000_000_000_000_u64..599_999_999_999_999).prop_map(|body| {
        let passes = |text: &String| cards::passes_luhn(&text.bytes().map(|byte| byte - b'0').collect::<Vec<_>>());
        (0..10).map(|check| format!("{body}{check}")).find(passes).unwrap()
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_mask_panic(text in "\\PC*") {
        let _ = mask(&text);
    }

    #[test]
    fn no_escape_makes_the_mask_panic(text in r#"([%\\ux{}0-9a-f:="@ ٤é-]|password|token|Basic|eyJ|pin)*"#) {
        let _ = mask(&text);
    }

    #[test]
    fn a_card_number_never_survives(
        before in "[ =:\"/a-z]", number in number(), after in "[ ,\"/a-z]|[-/ .][0-9]{1,4}|[-/ .][0-9]{2}/[0-9]{2}|, *[0-9]{1,6}|=[0-9]{7}",
    ) {
        let line = format!("x{before}{number}{after}");
        prop_assert!(!mask(&line).contains(&number), "{}", mask(&line));
    }

    #[test]
    fn nor_in_groups(number in number(), gap in "[ ./_|\u{a0}\u{2009}-]{1,2}|%20|%2F", after in "|[ /-][0-9]{2}(/[0-9]{2})?") {
        let groups: Vec<_> = (0..4).map(|at| &number[at * 4..at * 4 + 4]).collect();
        let grouped = groups.join(&gap);
        let masked = mask(&grouped).into_owned();
        prop_assert!(masked.starts_with("[card]"), "{}", masked);
        let with_more = [grouped, after].concat();
        prop_assert!(mask(&with_more).starts_with("[card]"), "{}", with_more);
    }

    #[test]
    fn a_field_that_holds_a_secret_never_shows_it(
        name in "(?i)(x_|my-)?(password|passwd|pwd|token|secret|api_key|client_secret)", joint in "=|: | = |\": \"", value in "[A-Za-z0-9!#$*+]{8,20}",
    ) {
        let masked = mask(&format!("{name}{joint}{value}")).into_owned();
        prop_assert!(!masked.contains(&value), "{}", masked);
    }

    #[test]
    fn an_id_of_ours_is_left_alone(bytes: [u8; 16], micros in 1_600_000_000_000_000_u64..1_999_999_999_999_999) {
        let id = uuid::Builder::from_unix_timestamp_millis(micros / 1000, bytes[..10].try_into().unwrap()).into_uuid();
        let time = crate::time::Instant::from_micros(i64::try_from(micros).unwrap());
        let line = format!("tsk_{id} at {time:?} {micros}");
        let masked = mask(&line).into_owned();
        prop_assert_eq!(masked, line);
    }
}
