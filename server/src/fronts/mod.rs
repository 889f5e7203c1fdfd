//! The HTTP surfaces of the systems that this platform replaces, so that their clients go on with another address. Each is a
//! thin translation onto what the API does, on a port of its own, in its predecessor's words.

mod buy_list;
mod card_replacer;
mod purchases;
mod shop;

use std::sync::Arc;

use axum::Router;
use axum::routing::MethodRouter;
use card_core::fronts::Front;

use crate::app::App;
use crate::http::answer::{Answers, Wording};
use crate::http::metrics::RouteMetrics;
use crate::http::parameters::Parameters;
use crate::problem::Refusal;

type Routes = Vec<(&'static str, MethodRouter<Arc<App>>)>;

/// A front around the state that it shares with the API.
pub(crate) fn answers(app: Arc<App>, front: Front) -> Answers {
    let (routes, wording) = match front {
        Front::CardReplacer => card_replacer::surface(),
        Front::Shop => shop::surface(),
        Front::ShopManagement => shop::management(),
        Front::BuyList => buy_list::surface(),
        Front::BuyListManagement => buy_list::management(),
    };
    let metrics = RouteMetrics::under(front.name(), routes.iter().map(|(template, _)| *template));
    let router = routes.into_iter().fold(Router::new(), |router, (template, route)| router.route(template, route));
    let router =
        router.fallback(async || Refusal::not_found("There is no such route here.")).with_state(Arc::clone(&app));
    Answers::new(app, router, metrics, Parameters::default(), wording)
}

/// What whoever starts it has to know.
pub(crate) const fn warning(front: Front) -> &'static str {
    match front {
        Front::CardReplacer => {
            "this front takes any name and any password, weak ones too, and tells the outcome of a task to whoever has its id"
        }
        Front::Shop | Front::ShopManagement | Front::BuyList | Front::BuyListManagement => {
            "this front needs no token, so whoever reaches it can read and add to the purchases of any user id"
        }
    }
}

impl Wording {
    /// In a front's own way.
    const fn own(write: fn(&Refusal) -> (u16, serde_json::Value)) -> Self {
        Self::Own { write, any_origin: false }
    }
}
