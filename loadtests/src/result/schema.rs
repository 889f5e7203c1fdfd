//! The JSON schema of `result.json`, made of the types and published as `docs/schemas/loadtest-result.schema.json`.
//!
//! It describes what is written: every field is there, those without a value as `null`. Fields get added within a version,
//! so what it does not name is allowed.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Report;

/// The schema as a document.
#[must_use]
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Report>();
    schema.insert("$id".to_owned(), "urn:cardctl:schema:loadtest-result:1".into());
    schema.insert("title".to_owned(), "Result of a cardctl load test".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use jsonschema::Validator;
    use serde_json::json;

    use super::*;
    use crate::report::fixture;

    fn file() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas/loadtest-result.schema.json")
    }

    /// As it lies in the repository.
    fn published() -> Value {
        serde_json::from_slice(&std::fs::read(file()).unwrap()).unwrap()
    }

    fn validator() -> Validator {
        jsonschema::options().should_validate_formats(true).build(&published()).unwrap()
    }

    /// What is wrong, each with its place.
    fn mistakes(document: &Value) -> Vec<String> {
        let validator = validator();
        validator.iter_errors(document).map(|mistake| format!("{}: {mistake}", mistake.instance_path())).collect()
    }

    #[test]
    fn the_published_schema_is_that_of_the_types() {
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(file(), serde_json::to_string_pretty(&schema()).unwrap() + "\n").unwrap();
        }
        // Not by its text: in which order fields are written depends on who else is compiled along.
        assert!(
            published() == schema(),
            "docs/schemas/loadtest-result.schema.json is not what the types say; UPDATE_SCHEMA=1 with this test writes it"
        );
    }

    #[test]
    fn it_is_a_schema_and_says_which() {
        assert!(jsonschema::draft202012::meta::is_valid(&published()));
        let schema = schema();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(schema["$id"].is_string() && schema["title"].is_string());
        let closed = serde_json::to_string(&schema).unwrap().contains("additionalProperties\":false");
        assert!(!closed, "fields get added");
    }

    #[test]
    fn full_and_empty_results_are_valid() {
        for report in [fixture::report(), fixture::empty()] {
            let document = serde_json::to_value(report).unwrap();
            assert_eq!(mistakes(&document), Vec::<String>::new());
        }
    }

    #[test]
    fn a_field_of_a_later_version_is_allowed() {
        let mut document = serde_json::to_value(fixture::report()).unwrap();
        document["new"] = json!({"anything": 1});
        document["correctness"]["new"] = json!(1);
        assert_eq!(mistakes(&document), Vec::<String>::new());
    }

    #[test]
    fn broken_documents_are_refused() {
        let sound = serde_json::to_value(fixture::report()).unwrap();
        for (place, value) in [
            ("/v", json!(2)),
            ("/run", json!(7)),
            ("/seed", json!(-1)),
            ("/exit", json!(256)),
            ("/verdict", json!("passed")),
            ("/started_at", json!("yesterday")),
            ("/plan/model", json!("half-open")),
            ("/plan/warm_up_ms", json!("5s")),
            ("/correctness/lost", json!(-1)),
            ("/correctness/verdict", json!(null)),
            ("/accept_ms/p95", json!("4 ms")),
            ("/e2e_intended_ms/p50", json!(-0.1)),
            ("/e2e_ms/p99", json!(null)),
            ("/distribution/e2e/0", json!([1.0])),
            ("/errors/rate", json!(1.5)),
            ("/errors/by_code/overloaded", json!("many")),
            ("/slo/0/verdict", json!("ok")),
            ("/steps/0/late_starts", json!(2)),
            ("/steps/1/degradation", json!("10%")),
            ("/breakpoint/holds", json!(-5)),
            ("/validity/reasons", json!("none")),
            ("/regression/changes/0/noise", json!(-0.5)),
            ("/timeline/3/phase", json!("warm-up")),
            ("/timeline/3/backlog", json!(1.5)),
        ] {
            let mut broken = sound.clone();
            *broken.pointer_mut(place).unwrap_or_else(|| panic!("no {place}")) = value;
            // Of what may be null as a whole, the validator says no more than that the whole is wrong.
            let part = if place.starts_with("/breakpoint") { "/breakpoint" } else { place };
            let part = if place.starts_with("/regression") { "/regression" } else { part };
            let mistakes = mistakes(&broken);
            assert!(mistakes.len() == 1 && mistakes[0].starts_with(part), "{place}: {mistakes:?}");
        }
    }

    /// What programs were promised, field by field.
    #[test]
    fn no_promised_field_may_be_missing() {
        let sound = serde_json::to_value(fixture::report()).unwrap();
        let latencies = ["accept_ms", "e2e_ms", "queue_wait_ms", "work_ms"];
        let mut promised = vec![
            ("", "v run seed target plan verdict exit correctness rates errors slo steps validity regression timeline"),
            ("", "accept_ms e2e_ms queue_wait_ms work_ms"),
            ("/correctness", "accepted succeeded declined dead lost duplicate stuck unverified drain_ms"),
            ("/rates", "offered accepted completed"),
            ("/errors", "rate by_code"),
            ("/slo/0", "expr actual n verdict"),
            ("/steps/0", "users accept_p95 e2e_p95 degradation"),
            ("/validity", "verdict generator_cpu late_starts reasons"),
            ("/timeline/0", "t offered accepted completed backlog oldest_age_ms workers generator_cpu"),
        ];
        let latencies = latencies.map(|name| format!("/{name}"));
        promised.extend(latencies.iter().map(|place| (place.as_str(), "n p50 p90 p95 p99 max")));
        for (place, fields) in promised {
            for field in fields.split(' ') {
                let mut broken = sound.clone();
                let object = broken.pointer_mut(place).and_then(Value::as_object_mut).unwrap();
                assert!(object.remove(field).is_some(), "{place}/{field} is not written");
                assert!(!mistakes(&broken).is_empty(), "{place}/{field} may be missing");
            }
        }
    }
}
