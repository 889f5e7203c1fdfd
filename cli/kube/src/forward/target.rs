//! What a port leads to: which pods, and which of their ports.

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Client;
use kube::api::Api;

use super::ForwardError;

/// Which pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardTarget {
    /// Those of a service; the port is then the service's.
    Service(String),
    /// Those with these labels; the port is then the pods'.
    Selector(String),
}

/// Labels of the pods, and their port.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) selector: String,
    pub(super) port: IntOrString,
}

impl Route {
    /// The number of the port in this pod. None if it has no port of that name.
    pub(super) fn port_of(&self, pod: &Pod) -> Option<u16> {
        let number = match &self.port {
            IntOrString::Int(number) => *number,
            IntOrString::String(name) => {
                let containers = &pod.spec.as_ref()?.containers;
                let ports = containers.iter().flat_map(|container| container.ports.iter().flatten());
                ports.filter(|port| port.name.as_ref() == Some(name)).map(|port| port.container_port).next()?
            }
        };
        u16::try_from(number).ok()
    }
}

pub(super) async fn resolve(
    client: &Client,
    namespace: &str,
    target: &ForwardTarget,
    port: u16,
) -> Result<Route, ForwardError> {
    let name = match target {
        ForwardTarget::Selector(selector) => {
            return Ok(Route { selector: selector.clone(), port: IntOrString::Int(i32::from(port)) });
        }
        ForwardTarget::Service(name) => name,
    };
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let service = services.get_opt(name).await.map_err(|error| ForwardError::Unreachable(Box::new(error)))?;
    let spec = service.and_then(|service| service.spec);
    let Some(spec) = spec else {
        return Err(ForwardError::Target(format!("there is no service {name} in namespace {namespace}")));
    };
    let selector = spec.selector.unwrap_or_default();
    if selector.is_empty() {
        return Err(ForwardError::Target(format!("service {name} selects no pods")));
    }
    let ports = spec.ports.unwrap_or_default();
    let Some(found) = ports.iter().find(|one| one.port == i32::from(port)) else {
        let all: Vec<String> = ports.iter().map(|one| one.port.to_string()).collect();
        return Err(ForwardError::Target(format!("service {name} has no port {port}, but {}", all.join(", "))));
    };
    let selector = selector.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    Ok(Route { selector, port: found.target_port.clone().unwrap_or(IntOrString::Int(found.port)) })
}
