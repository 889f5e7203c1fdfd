//! Lists on pages, compared both ways with what the program says.

use std::time::Duration;

use card_kinds::Registry;
use card_kube::diagnose::Reason;
use regex::Regex;

use super::codes::sources;
use super::{assert_same, quoted, read, root, rows, section};
use crate::sandbox::Sandbox;

fn strings(names: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    names.into_iter().map(Into::into).collect()
}

#[test]
fn each_setting_is_on_its_page_with_its_value() {
    const PAGE: &str = "docs/reference/settings.md";
    let shown = Sandbox::new().expect(0, &["config", "show", "-o", "json"]).json();
    let settings = shown["settings"].as_object().unwrap();
    let page = read(PAGE);
    let table = rows(section(&page, "## Settings"));
    let names = table.iter().flat_map(|row| quoted(&row[0])).collect();
    assert_same(PAGE, names, settings.keys().cloned().collect());
    for row in &table {
        let names = quoted(&row[0]);
        let values: Vec<String> = row[1].split("`, `").map(|value| value.replace('`', "")).collect();
        assert_eq!(names.len(), values.len(), "{PAGE}: {row:?}");
        for (name, value) in names.iter().zip(values) {
            let value = if matches!(value.as_str(), "empty" | "–") { String::new() } else { value };
            let actual = match &settings[name]["value"] {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Null => String::new(),
                other => other.to_string(),
            };
            assert_eq!(value, actual, "{PAGE}: {name}");
        }
    }
}

#[test]
fn each_exit_code_is_on_its_page() {
    const PAGE: &str = "docs/reference/exit-codes.md";
    let codes = Sandbox::new().expect(0, &["help", "exit-codes", "-o", "json"]).json();
    let codes = codes["exit_codes"].as_array().unwrap().iter().map(|code| code["code"].to_string()).collect();
    let page = read(PAGE);
    let on_page = rows(section(&page, "## Codes")).iter().map(|row| row[0].clone()).collect();
    assert_same(PAGE, on_page, codes);
}

#[test]
fn each_global_option_is_on_the_page_of_the_command_line() {
    const PAGE: &str = "docs/reference/cli.md";
    let help = Sandbox::new().expect(0, &["status", "--help"]).stdout;
    let (_, global) = help.split_once("Global options:").unwrap();
    let long = |text: &str| Some(format!("--{}", text.split_once("--")?.1.split([' ', '<']).next()?.trim()));
    let in_program = global.lines().filter(|line| line.trim_start().starts_with('-')).filter_map(long).collect();
    let page = read(PAGE);
    let on_page =
        rows(section(&page, "## Global options")).iter().filter_map(|row| long(&quoted(&row[0])[0])).collect();
    assert_same(PAGE, on_page, in_program);
}

/// A path with its parameters' names left out: pages may name them as they like.
fn nameless(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn each_route_and_each_metric_is_on_its_page() {
    let sandbox = Sandbox::new();
    let url = sandbox.up().url;
    sandbox.expect(0, &["submit", "-c", "2", "-w", "--kind", "add"]);
    let get = async |path: &str| {
        let client = card_http::local().timeout(Duration::from_secs(10)).build().unwrap();
        client.get(format!("{url}{path}")).send().await.unwrap().text().await.unwrap()
    };

    const API: &str = "docs/reference/api.md";
    let document: serde_json::Value = serde_json::from_str(&get("/openapi.json").await).unwrap();
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let methods = operations
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| ["get", "post", "put", "delete", "patch"].contains(&key.as_str()));
        routes.extend(methods.map(|method| format!("{} {}", method.to_uppercase(), nameless(path))));
    }
    let page = read(API);
    let mut on_page = Vec::new();
    for row in rows(page.lines()) {
        for call in quoted(&row[0]) {
            let Some((method, path)) = call.split_once(" /") else { continue };
            let path = path.split([' ', '?']).next().unwrap();
            let path = format!("/{path}");
            let is_outside = ["/health", "/ready", "/metrics", "/scaling", "/openapi.json", "/docs/", "/", "/problems"]
                .contains(&path.as_str());
            let prefix = if is_outside { "" } else { "/api/v1" };
            on_page.push(format!("{method} {}", nameless(&format!("{prefix}{path}"))));
        }
    }
    // Pages, which no OpenAPI document describes; and the issuer, a server of its own.
    let apart = [
        "GET /",
        "GET /docs/",
        "GET /problems",
        "GET /openapi.json",
        "POST /api/v1/issue",
        "GET /api/v1/behaviour",
        "PUT /api/v1/behaviour",
    ];
    on_page.retain(|route| !apart.contains(&route.as_str()));
    routes.retain(|route| !apart.contains(&route.as_str()));
    assert_same(API, on_page, routes);

    const METRICS: &str = "docs/reference/metrics.md";
    let page = read(METRICS);
    let on_page = rows(page.lines())
        .iter()
        .flat_map(|row| quoted(&row[0]))
        .map(|metric| metric.split('{').next().unwrap().to_owned())
        .collect();
    let text = get("/metrics").await;
    let mut metrics: Vec<String> =
        text.lines().filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned())).collect();
    // Of Redis alone.
    metrics.push("redis_evicts".to_owned());
    assert_same(METRICS, on_page, metrics);
}

#[test]
fn each_error_code_of_a_task_is_on_the_page_of_the_api() {
    const PAGE: &str = "docs/reference/api.md";
    let registry = Registry::default();
    let own = registry.all().flat_map(|kind| kind.errors.iter().map(|(code, _)| (*code).to_owned()));
    // Of the platform, whatever the kind: `Registry::error_for_owner` names them.
    let common =
        strings(["cancelled", "invalid-payload", "step-panicked", "worker-stopped", "unknown-kind", "internal"]);
    let page = read(PAGE);
    let on_page = rows(section(&page, "### Error codes of tasks")).iter().flat_map(|row| quoted(&row[0])).collect();
    assert_same(PAGE, on_page, own.chain(common).collect());
}

#[test]
fn each_reason_of_a_cluster_is_on_its_page() {
    const PAGE: &str = "docs/kubernetes.md";
    let page = read(PAGE);
    let on_page = rows(section(&page, "### Reasons"));
    let on_page = on_page.iter().flat_map(|row| quoted(&row[0])).collect();
    assert_same(PAGE, on_page, Reason::ALL.iter().map(|reason| reason.as_str().to_owned()).collect());
}

#[test]
fn each_flag_and_variable_of_the_servers_is_on_their_page() {
    const PAGE: &str = "docs/reference/servers.md";
    let sandbox = Sandbox::new();
    let mut in_program = Vec::new();
    for program in [
        &["card-server"][..],
        &["card-server", "serve"],
        &["card-server", "issuer"],
        &["card-server", "migrate"],
        &["card-worker"],
    ] {
        let help = sandbox.expect(0, &[program, &["--help"]].concat()).stdout;
        let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
        in_program.extend(flags.map(|flag| format!("--{}", flag.split([' ', '.']).next().unwrap())));
        in_program.extend(help.split("[env: ").skip(1).map(|rest| rest.split('=').next().unwrap().to_owned()));
    }
    let page = read(PAGE);
    let table = |heading| rows(section(&page, heading)).iter().flat_map(|row| quoted(&row[0])).collect::<Vec<_>>();
    let flags = table("## Flags").iter().map(|flag| flag.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
    let variables = table("## Variables");
    // Of secrets and addresses, which are no flags.
    let apart =
        ["SIGNING_KEY", "OPERATOR_TOKEN", "CARDCTL_DATABASE", "CARDCTL_REDIS", "COMPONENT", "_FILE", "HOSTNAME"];
    let variables = variables.into_iter().filter(|name| !apart.iter().any(|apart| name.ends_with(apart)));
    assert_same(PAGE, flags.into_iter().chain(variables).collect(), in_program);
}

/// All source in these folders, with strings that go over several lines in one.
fn source(folders: &[&str]) -> String {
    let mut source = String::new();
    for folder in folders {
        sources(&root().join(folder), &mut |text| source.push_str(text));
    }
    Regex::new(r"\\\n\s*").unwrap().replace_all(&source, "").into_owned()
}

#[test]
fn each_log_line_of_the_page_is_in_the_source() {
    let source = source(&["core/src", "kinds/src", "worker/src", "server/src", "cli/src"]);
    let page = read("docs/operations/monitoring.md");
    let lines = rows(section(&page, "## Logs")).iter().flat_map(|row| quoted(&row.join(" "))).collect::<Vec<_>>();
    // Some are put together while it runs: their parts are there.
    let parts =
        lines.iter().flat_map(|line| line.split(['…', ';'])).map(|part| part.trim().trim_start_matches("can't "));
    let missing: Vec<&str> = parts.filter(|part| !source.contains(part)).collect();
    assert!(lines.len() > 10 && missing.is_empty(), "{missing:#?}");
}

#[test]
fn each_reason_and_note_of_a_load_test_is_in_the_source() {
    let source = source(&["client/src", "loadtests", "cli/src/commands/loadtest"]);
    let page = read("docs/reference/loadtest.md");
    let reasons = rows(section(&page, "## Validity")).iter().flat_map(|row| quoted(&row[0])).collect::<Vec<_>>();
    // What stands between the numbers, where it is long enough to be nothing else.
    let numbers = Regex::new(r"…|[±(<]|: |once|errors<?|[-+]?\d[\d.,]*(%| ms| s|/s)?|http-|OOMKilled").unwrap();
    let parts = reasons.iter().flat_map(|reason| numbers.split(reason)).map(str::trim).filter(|part| part.len() > 9);
    let missing: Vec<&str> = parts.filter(|part| !source.contains(part.trim_end_matches([',', ':', ';']))).collect();
    assert!(reasons.len() > 20 && missing.is_empty(), "{missing:#?}");
}
