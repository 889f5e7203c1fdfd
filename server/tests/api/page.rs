use crate::app::TestApp;

#[tokio::test]
async fn the_page_and_its_files_have_a_strict_policy_and_a_tag() {
    let app = TestApp::without_workers().await;
    let scripts = ["api", "app", "cards", "dom", "purchases", "session", "stream", "words"];
    let scripts = scripts.map(|name| (format!("/assets/{name}.js"), "text/javascript; charset=utf-8"));
    let others = [("/", "text/html; charset=utf-8"), ("/assets/style.css", "text/css; charset=utf-8")];
    let all = others.map(|(path, kind)| (path.to_owned(), kind)).into_iter().chain(scripts);
    for (path, kind) in all {
        let path = path.as_str();
        let response = app.client.get(app.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        assert_eq!(headers["content-type"], kind);
        assert_eq!(
            headers["content-security-policy"],
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        );
        assert_eq!(
            (&headers["x-content-type-options"], &headers["referrer-policy"]),
            (&"nosniff".parse().unwrap(), &"no-referrer".parse().unwrap())
        );
        assert_eq!(headers["cache-control"], "no-cache");
        let again = app.client.get(app.url(path)).header("if-none-match", &headers["etag"]).send().await.unwrap();
        assert_eq!(again.status(), 304);
        assert!(again.bytes().await.unwrap().is_empty());
        let head = app.client.head(app.url(path)).send().await.unwrap();
        assert_eq!(head.status(), 200);
    }
    assert_eq!(crate::app::problem(app.client.get(app.url("/assets/nothing.js"))).await.status, 404);
}

#[tokio::test]
async fn the_documentation_loads_nothing_from_elsewhere() {
    let app = TestApp::without_workers().await;
    let response = app.client.get(app.url("/docs")).send().await.unwrap();
    assert!(response.status().is_redirection(), "{}", response.status());
    let there = response.url().join(response.headers()["location"].to_str().unwrap()).unwrap();
    assert_eq!(there.path(), "/docs/");
    let response = app.client.get(there).send().await.unwrap();
    assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    let page = response.text().await.unwrap();
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    for asset in page.split('"').filter(|text| text.ends_with(".js") || text.ends_with(".css")) {
        let asset = app.url(&format!("/docs/{}", asset.trim_start_matches("./")));
        let response = app.client.get(&asset).send().await.unwrap();
        assert_eq!(response.status(), 200, "{asset}");
        assert!(response.text().await.unwrap().len() > 50, "{asset}");
    }
    let initializer =
        app.client.get(app.url("/docs/swagger-initializer.js")).send().await.unwrap().text().await.unwrap();
    assert!(initializer.contains("/openapi.json"));
    assert_eq!(crate::app::problem(app.client.get(app.url("/docs/nothing.js"))).await.status, 404);
}

#[tokio::test]
async fn a_problems_type_leads_to_its_explanation() {
    let app = TestApp::without_workers().await;
    let problem = crate::app::problem(app.client.get(app.url("/nothing"))).await;
    let (page, section) = problem.kind.split_once('#').unwrap();
    let text = app.client.get(app.url(page)).send().await.unwrap().text().await.unwrap();
    assert!(text.contains(&format!("## `{section}`")), "{section}");
}
