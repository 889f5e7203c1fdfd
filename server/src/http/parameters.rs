//! The query parameters that each route knows, from its documentation. Another name is refused on every route, also on
//! those that know none: a misspelt filter that is ignored answers a question that was not asked.

use std::collections::HashMap;

use axum::http::{Method, Uri};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, PathItem, RefOr};

use super::metrics::{RouteId, RouteMetrics};
use super::query::Query;
use crate::problem::Refusal;

/// By route and method; routes that are not documented (pages for people) take what a browser sends.
#[derive(Debug, Default)]
pub(crate) struct Parameters(HashMap<(RouteId, Method), Vec<String>>);

impl Parameters {
    /// As the document says.
    pub(crate) fn of(document: &OpenApi, routes: &RouteMetrics) -> Self {
        let mut known = HashMap::new();
        for (template, item) in &document.paths.paths {
            for (method, operation) in operations(item) {
                known.insert((routes.of_template(template), method), names(operation));
            }
        }
        Self(known)
    }

    /// Refuses a parameter that the route does not know.
    pub(crate) fn check(&self, route: RouteId, method: &Method, uri: &Uri) -> Result<(), Refusal> {
        let Some(query) = uri.query() else { return Ok(()) };
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        match self.0.get(&(route, method)) {
            Some(known) => Query::only(query, known),
            None => Ok(()),
        }
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [(Method::GET, get), (Method::PUT, put), (Method::POST, post), (Method::DELETE, delete), (Method::PATCH, patch)]
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn names(operation: &Operation) -> Vec<String> {
    let all = operation.parameters.iter().flatten();
    let inline = all.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        // No parameter is written once for several routes.
        RefOr::Ref(_) => None,
    });
    inline
        .filter(|parameter| parameter.parameter_in == ParameterIn::Query)
        .map(|parameter| parameter.name.clone())
        .collect()
}
