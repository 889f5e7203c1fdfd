//! Counts and durations of requests by route. The handles of the recorder are looked up once for each combination of
//! labels and kept, because a look-up costs more than all the rest of counting.

use std::sync::OnceLock;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use card_core::telemetry::metrics::{HTTP_DURATION, HTTP_REQUESTS};
use metrics::{Counter, Histogram, counter, histogram};

const METHODS: [&str; 8] = ["GET", "POST", "DELETE", "PUT", "HEAD", "PATCH", "OPTIONS", "other"];
const STATUSES: [u16; 20] =
    [202, 200, 201, 204, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431, 500, 503, 0];

/// What is counted of one route and method.
#[derive(Debug)]
struct Handles {
    duration: Histogram,
    by_status: [OnceLock<Counter>; STATUSES.len()],
}

#[derive(Debug)]
struct Route {
    template: String,
    /// Answered even when there is no room and while stopping: whoever looks after the platform needs it then most.
    always: bool,
    by_method: [OnceLock<Handles>; METHODS.len()],
}

impl Route {
    fn new(template: &str) -> Self {
        let probes = ["/health", "/ready", "/metrics", "/scaling", "/-/healthy", "/-/ready"];
        let always = probes.iter().any(|probe| template.ends_with(probe));
        Self { template: template.to_owned(), always, by_method: Default::default() }
    }
}

/// Every route by its template, and what is counted of it.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    table: matchit::Router<usize>,
    routes: Vec<Route>,
}

impl RouteMetrics {
    /// For these templates. The last route is for what matches none of them.
    pub(crate) fn new<'a>(templates: impl IntoIterator<Item = &'a str>) -> Self {
        Self::under("", templates)
    }

    /// For these templates of a surface, whose name is put before them: `/add` of one is not `/add` of another.
    pub(crate) fn under<'a>(surface: &str, templates: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = matchit::Router::new();
        let mut routes = Vec::new();
        for template in templates {
            // The router took the same templates already, so they can be inserted; if not, they count as unmatched.
            if table.insert(template, routes.len()).is_ok() {
                routes.push(Route::new(&format!("{surface}{template}")));
            }
        }
        routes.push(Route::new(&if surface.is_empty() {
            "unmatched".to_owned()
        } else {
            format!("{surface}/unmatched")
        }));
        Self { table, routes }
    }

    /// The route of a path.
    pub(crate) fn find(&self, path: &str) -> RouteId {
        RouteId(self.table.at(path).map_or(self.routes.len() - 1, |found| *found.value))
    }

    /// The route of a template.
    pub(crate) fn of_template(&self, template: &str) -> RouteId {
        let place = self.routes.iter().position(|route| route.template == template);
        RouteId(place.unwrap_or(self.routes.len() - 1))
    }

    /// For what has no path.
    pub(crate) fn unmatched(&self) -> RouteId {
        RouteId(self.routes.len() - 1)
    }

    /// The template, never the path itself.
    pub(crate) fn template(&self, route: RouteId) -> &str {
        &self.routes[route.0].template
    }

    /// Whether the route is answered in any case.
    pub(crate) fn always(&self, route: RouteId) -> bool {
        self.routes[route.0].always
    }

    /// Counts an answer.
    pub(crate) fn record(&self, route: RouteId, method: &Method, status: StatusCode, duration: Duration) {
        let route = &self.routes[route.0];
        let place = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let method = METHODS[place];
        let handles = route.by_method[place].get_or_init(|| Handles {
            duration: histogram!(HTTP_DURATION, "method" => method, "route" => route.template.clone()),
            by_status: Default::default(),
        });
        handles.duration.record(duration.as_secs_f64());
        let status = status.as_u16();
        let place = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1);
        let labels = || {
            [("method", method.to_owned()), ("route", route.template.clone()), ("status", STATUSES[place].to_string())]
        };
        handles.by_status[place].get_or_init(|| counter!(HTTP_REQUESTS, &labels())).increment(1);
    }
}

/// A route of [`RouteMetrics`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RouteId(usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_counted_under_its_template() {
        let metrics = RouteMetrics::new(["/tasks", "/tasks/{id}"]);
        assert_eq!(metrics.template(metrics.find("/tasks/tsk_1")), "/tasks/{id}");
        assert_eq!(metrics.template(metrics.find("/tasks")), "/tasks");
        assert_eq!(metrics.template(metrics.find("/etc/passwd")), "unmatched");
    }
}
