//! What a word without quotes is: a switch, a number, nothing, or text.
//!
//! The rules of YAML 1.1 are those of the parser that `kubectl` has (go-yaml 2, `resolve`); those of YAML 1.2 its core schema
//! (10.3.2). Both are written out, because that they differ is the point.

use serde_json::{Number, Value};

/// A plain word as `kubectl` reads it. None for what JSON can't say, such as `.inf`.
pub(crate) fn as_kubectl(word: &str) -> Option<Value> {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Some(true.into()),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some(false.into());
        }
        _ if is_infinite(word) => return None,
        _ => {}
    }
    let number = match word.as_bytes().first() {
        Some(b'.') => word.parse().ok().filter(|_| is_float(word)).and_then(float),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            let plain = word.replace('_', "");
            go_integer(&plain).or_else(|| plain.parse().ok().filter(|_| is_float(&plain)).and_then(float))
        }
        _ => None,
    };
    Some(number.map_or_else(|| word.into(), Value::Number))
}

/// A plain word as YAML 1.2 reads it.
pub(crate) fn as_core_schema(word: &str) -> Option<Value> {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(true.into()),
        "false" | "False" | "FALSE" => return Some(false.into()),
        _ if is_infinite(word) => return None,
        _ => {}
    }
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let number = if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        integer(word.starts_with('-'), unsigned, 10).or_else(|| float(word.parse().ok()?))
    } else if let Some(digits) = word.strip_prefix("0x") {
        integer(false, digits, 16)
    } else if let Some(digits) = word.strip_prefix("0o") {
        integer(false, digits, 8)
    } else if is_float(word) {
        word.parse().ok().and_then(float)
    } else {
        None
    };
    Some(number.map_or_else(|| word.into(), Value::Number))
}

fn is_infinite(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(word, ".nan" | ".NaN" | ".NAN")
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !whole.is_empty() || !part.is_empty();
    has_digits && digits(whole) && digits(part) && exponent.is_none_or(|text| !text.is_empty() && digits(text))
}

/// As Go's `ParseInt` with base 0: by its prefix. One that no 64 bits hold is none.
fn go_integer(word: &str) -> Option<Number> {
    let (negative, unsigned) = match word.as_bytes().first()? {
        b'-' => (true, &word[1..]),
        b'+' => (false, &word[1..]),
        _ => (false, word),
    };
    let lower = unsigned.to_ascii_lowercase();
    match lower.as_bytes() {
        [b'0', b'x', ..] => integer(negative, &lower[2..], 16),
        [b'0', b'b', ..] => integer(negative, &lower[2..], 2),
        [b'0', b'o', ..] => integer(negative, &lower[2..], 8),
        [b'0', _, ..] => integer(negative, &lower[1..], 8),
        _ => integer(negative, &lower, 10),
    }
}

fn integer(negative: bool, digits: &str, base: u32) -> Option<Number> {
    if digits.is_empty() || !digits.bytes().all(|byte| char::from(byte).is_digit(base)) {
        return None;
    }
    let size = u64::from_str_radix(digits, base).ok()?;
    if negative { 0_i64.checked_sub_unsigned(size).map(Number::from) } else { Some(size.into()) }
}

/// A whole number is one, however it was written: JSON knows no difference, and Go writes `1.0` as `1`.
fn float(value: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range, as was looked at")]
    if value.fract() == 0.0 && value.abs() < 9e18 {
        return Some((value as i64).into());
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_word_is_what_kubectl_makes_of_it() {
        // As `kubectl annotate --local -o json` of 1.32 has them.
        for (word, value) in [
            ("y", json!(true)),
            ("Off", json!(false)),
            ("0755", json!(493)),
            ("0o17", json!(15)),
            ("0O17", json!(15)),
            ("1_0", json!(10)),
            ("1e3", json!(1000)),
            ("1e+3", json!(1000)),
            ("0x1F", json!(31)),
            ("0x_1F", json!(31)),
            ("-0x1F", json!(-31)),
            ("0b11", json!(3)),
            ("-0b11", json!(-3)),
            ("1:30", json!("1:30")),
            (".5", json!(0.5)),
            ("1.", json!(1)),
            ("+1", json!(1)),
            ("-0", json!(0)),
            ("~", json!(null)),
            ("nUll", json!("nUll")),
            ("tRUE", json!("tRUE")),
            ("2020-01-01", json!("2020-01-01")),
            ("0800", json!(800)),
            ("09.5", json!(9.5)),
            ("-0755", json!(-493)),
            ("1.5_0", json!(1.5)),
            ("0.e3", json!(0)),
            ("=", json!("=")),
            ("+", json!("+")),
            (".", json!(".")),
            ("1.2.3", json!("1.2.3")),
            ("0x", json!("0x")),
            ("1e", json!("1e")),
            ("0o9", json!("0o9")),
            ("1.0", json!(1)),
            ("00", json!(0)),
            ("1e400", json!("1e400")),
        ] {
            assert_eq!(as_kubectl(word), Some(value), "{word}");
        }
        assert_eq!(as_kubectl("-.inf"), None);
    }

    #[test]
    fn what_the_versions_of_yaml_agree_on_is_most_of_it() {
        for word in
            ["true", "null", "~", "", "1", "-7", "0.5", "1e3", "1.0", "0x1f", "0o17", "text", "1:30", "0", "0800"]
        {
            assert_eq!(as_kubectl(word), as_core_schema(word), "{word}");
        }
        for word in ["y", "no", "On", "0755", "1_000", "0b1", "0X1f"] {
            assert_ne!(as_kubectl(word), as_core_schema(word), "{word}");
        }
    }
}
