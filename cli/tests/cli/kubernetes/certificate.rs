//! The certificate of the ingress.

use serde_json::json;

use super::{Lab, NAMESPACE};

#[test]
fn it_is_of_the_type_that_ingress_controllers_look_for_also_where_it_was_not() {
    let lab = Lab::new("lab");
    let up = lab.up(&["--ingress", "cards.test", "--tls"]);
    lab.sandbox.expect(124, &up);
    let made = || lab.server.get("Secret", Some(NAMESPACE), "card-tls").unwrap();
    let first = made();
    assert_eq!(first["type"], "kubernetes.io/tls");
    lab.sandbox.expect(124, &up);
    assert_eq!(made()["data"], first["data"], "good for long enough");
    // As an older version made it.
    let mut old = first.clone();
    old["type"] = json!("Opaque");
    old["data"].as_object_mut().unwrap().remove("expires");
    lab.server.remove("Secret", Some(NAMESPACE), "card-tls");
    lab.server.put(old);
    lab.sandbox.expect(124, &up);
    assert_eq!(made()["type"], "kubernetes.io/tls");
    assert_ne!(made()["data"]["tls.crt"], first["data"]["tls.crt"]);
}
