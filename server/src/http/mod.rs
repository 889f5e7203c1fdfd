//! HTTP as every route needs it: what comes in is bounded and checked here, what goes out is finished here.

pub(crate) mod answer;
pub(crate) mod assets;
pub(crate) mod body;
pub(crate) mod client_address;
pub(crate) mod gate;
pub(crate) mod headers;
pub(crate) mod json;
pub(crate) mod metrics;
pub(crate) mod parameters;
pub(crate) mod query;
pub(crate) mod request_id;
pub(crate) mod version;
