//! Completes the document that the handlers' annotations make: security schemes, and the problems that every operation
//! of a sort can answer with, written once instead of at each.

use card_core::problem::{Code, Problem};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Header, HeaderBuilder, Info, OpenApi, Ref, RefOr, Response, ResponseBuilder, Type,
};
use utoipa::openapi::{ObjectBuilder, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

/// The information at its head.
pub(crate) fn info() -> Info {
    Info::builder()
        .title("Card replacement platform")
        .version(card_core::VERSION)
        .description(Some(
            "Replaces bank cards. A 2xx to a write means that it is on disk. Every error is `application/problem+json` \
             with a stable `code`; docs/reference/problems.md explains each.",
        ))
        .build()
}

/// Adds what every operation has.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_with(Components::new);
    for (name, format, description) in [
        ("user", Some("JWT"), "An access token: POST /api/v1/sessions"),
        ("refresh", None, "A refresh token: POST /api/v1/sessions"),
        ("operator", None, "The operator's token"),
    ] {
        let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some(description));
        let scheme = match format {
            Some(format) => scheme.bearer_format(format),
            None => scheme,
        };
        components.security_schemes.insert(name.to_owned(), SecurityScheme::Http(scheme.build()).into());
    }
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    components.schemas.extend(schemas);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(operation_id(method, path));
            complete_operation(path, operation);
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, post, put, delete, .. } = item;
    [("get", get), ("post", post), ("put", put), ("delete", delete)]
        .into_iter()
        .filter_map(|(method, one)| Some((method, one.as_mut()?)))
}

/// The handlers' names are not unique; method and path are.
fn operation_id(method: &str, path: &str) -> String {
    let words =
        path.trim_start_matches("/api/v1").split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |id, word| id + "_" + word)
}

fn complete_operation(path: &str, operation: &mut Operation) {
    let mut codes = vec![
        Code::BadRequest,
        Code::MethodNotAllowed,
        // A query parameter that the route does not know.
        Code::ValidationFailed,
        Code::HeadersTooLarge,
        Code::Internal,
        Code::Overloaded,
    ];
    if operation.security.is_some() {
        codes.extend([Code::Unauthorized, Code::Forbidden]);
    }
    if operation.request_body.is_some() {
        codes.extend([Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType]);
    }
    if path.contains('{') {
        codes.push(Code::NotFound);
    }
    let responses = &mut operation.responses.responses;
    for code in codes {
        let response = responses.entry(code.status().to_string()).or_insert_with(|| problem(code.title()).into());
        describe(response, code);
    }
    // What a handler documents by its description alone is a problem as well.
    for (status, response) in responses.iter_mut() {
        if let RefOr::T(response) = response {
            let is_error = status.as_bytes().first().is_some_and(|digit| matches!(digit, b'4' | b'5'));
            if is_error && response.content.is_empty() {
                response.content = problem("").content;
            }
            response
                .headers
                .entry("x-request-id".to_owned())
                .or_insert_with(|| text_header("Names this request in the logs"));
        }
    }
}

fn describe(response: &mut RefOr<Response>, code: Code) {
    let RefOr::T(response) = response else { return };
    let (name, description) = match code.status() {
        401 => ("www-authenticate", "How to authenticate"),
        405 => ("allow", "The methods that work here"),
        429 | 503 => ("retry-after", "When to try again, in seconds"),
        _ => return,
    };
    response.headers.insert(name.to_owned(), text_header(description));
}

fn problem(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

fn text_header(description: &str) -> RefOr<Header> {
    let schema = Schema::Object(ObjectBuilder::new().schema_type(Type::String).build());
    RefOr::T(HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build())
}
