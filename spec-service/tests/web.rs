//! The web pages: the life of a specification by forms, errors that lose no input, and the protection of forms.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, header};
use serde_json::{Value, json};

use server::Server;

/// A browser without JavaScript: it sends forms from the pages of the service.
struct Browser {
    client: Client,
    origin: String,
}

impl Browser {
    fn new(server: &Server) -> Self {
        let client = Client::builder().redirect(Policy::none()).build();
        Self {
            client: client.expect("the client is valid"),
            origin: server.rest.clone(),
        }
    }

    async fn open(&self, path: &str) -> (StatusCode, String) {
        let request = self.client.get(format!("{}{path}", self.origin));
        let response = request
            .header("cookie", "actor=Ada%20L%C3%B6w")
            .send()
            .await;
        let response = response.expect("the service responds");
        let status = response.status();
        (status, response.text().await.expect("the page is UTF-8"))
    }

    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let request = self.client.post(format!("{}{path}", self.origin));
        let request = request
            .header("origin", &self.origin)
            .header("cookie", "actor=Ada%20L%C3%B6w")
            .form(fields);
        request.send().await.expect("the service responds")
    }
}

/// Returns the value of the hidden field `name` of the first form that has it.
fn hidden(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&start).expect("the page has the field");
    rest.split('"').next().expect("the value ends").to_owned()
}

fn location(response: &Response) -> String {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let location = response.headers()[header::LOCATION].to_str();
    location.expect("the location is text").to_owned()
}

async fn create(browser: &Browser, name: &str) -> String {
    let (_, form) = browser.open("/ui/specs/new").await;
    let key = hidden(&form, "key");
    let fields = [
        ("key", key.as_str()),
        ("namespace", "default"),
        ("name", name),
        ("description", "Card limits"),
        ("content", "limit: 250\r\n"),
        ("reason", "first"),
    ];
    let created = browser.send("/ui/specs/new", &fields).await;
    let again = browser.send("/ui/specs/new", &fields).await;
    // A form that is sent twice creates one specification.
    assert_eq!(location(&created), location(&again));
    let location = location(&created);
    let (page, _) = location
        .split_once('?')
        .expect("the location says what was done");
    page.to_owned()
}

#[tokio::test]
async fn life_of_a_specification_by_forms() {
    let (_dir, server) = Server::fresh();
    let browser = Browser::new(&server);
    let (_, empty) = browser.open("/").await;
    assert!(empty.contains("No specifications yet"), "{empty}");

    let page = create(&browser, "limits").await;
    let (_, form) = browser.open(&format!("{page}/edit")).await;
    let fields = [
        ("key", &*hidden(&form, "key")),
        ("revision", &*hidden(&form, "revision")),
        ("description", "Card limits"),
        ("content", "limit: 300\r\n"),
        ("reason", "too low"),
    ];
    let saved = browser.send(&format!("{page}/edit"), &fields).await;
    assert_eq!(location(&saved), format!("{page}/versions/2?done=saved"));
    for (change, reason) in [
        ("publish", "agreed"),
        ("deprecate", "replaced"),
        ("delete", ""),
    ] {
        let (_, shown) = browser.open(&format!("{page}/versions/2")).await;
        let (key, revision) = (hidden(&shown, "key"), hidden(&shown, "revision"));
        let fields = [
            ("key", &*key),
            ("revision", &*revision),
            ("version", "2"),
            ("reason", reason),
        ];
        let done = browser.send(&format!("{page}/{change}"), &fields).await;
        assert!(location(&done).starts_with(&page));
    }
    let (status, history) = browser.open(&format!("{page}/history")).await;
    assert_eq!(status, StatusCode::OK);
    for text in [
        "Version 2 published",
        "Deprecated",
        "Deleted",
        "agreed",
        "Ada Löw",
        "too low",
    ] {
        assert!(history.contains(text), "{text} is not in {history}");
    }
    let id = page.rsplit('/').next().unwrap();
    let version: Value = server.json(&format!("/v1/specs/{id}/versions/2")).await;
    assert_eq!(version["content"], "limit: 300\n");
    assert_eq!(version["created_by"], "Ada Löw");
    let (_, list) = browser.open("/?state=deleted").await;
    assert!(list.contains(">limits</a>"), "{list}");
}

#[tokio::test]
async fn refused_form_keeps_the_input_and_names_the_field() {
    let (_dir, server) = Server::fresh();
    let browser = Browser::new(&server);
    let fields = [
        ("key", "k1"),
        ("namespace", "default"),
        ("name", "li<mits"),
        ("description", ""),
        ("content", "a: 1\r\na: 2\r\n"),
        ("reason", "because"),
    ];
    let refused = browser.send("/ui/specs/new", &fields).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = refused.text().await.unwrap();
    assert!(page.contains("invalid character"), "{page}");
    assert!(
        page.contains("li&#60;mits") && page.contains("a: 2") && page.contains("because"),
        "{page}"
    );
    let input = page
        .split("<input")
        .find(|input| input.contains("id=\"name\""))
        .unwrap();
    assert!(input.contains("aria-invalid=\"true\""), "{input}");
    assert_ne!(hidden(&page, "key"), "k1");

    let fields = fields.map(|(name, value)| (name, if name == "name" { "limits" } else { value }));
    let refused = browser
        .send("/ui/specs/new", &fields)
        .await
        .text()
        .await
        .unwrap();
    assert!(refused.contains("line 2"), "{refused}");
    let area = refused.split("<textarea").nth(1).unwrap();
    assert!(area.contains("aria-invalid=\"true\""), "{area}");
}

#[tokio::test]
async fn stale_form_is_refused_and_keeps_the_input() {
    let (_dir, server) = Server::fresh();
    let browser = Browser::new(&server);
    let page = create(&browser, "limits").await;
    let (_, form) = browser.open(&format!("{page}/edit")).await;
    let id = page.rsplit('/').next().unwrap();
    let other = server.request(reqwest::Method::PUT, &format!("/v1/specs/{id}"));
    let other = other
        .header("x-actor", "Bob")
        .json(&json!({"content": "limit: 7\n"}));
    assert_eq!(other.send().await.unwrap().status(), StatusCode::OK);
    let (key, revision) = (hidden(&form, "key"), hidden(&form, "revision"));
    let fields = [
        ("key", &*key),
        ("revision", &*revision),
        ("description", ""),
        ("content", "limit: 300\r\n"),
        ("reason", ""),
    ];
    let stale = browser.send(&format!("{page}/edit"), &fields).await;
    assert_eq!(stale.status(), StatusCode::PRECONDITION_FAILED);
    let stale = stale.text().await.unwrap();
    assert!(
        stale.contains("limit: 300") && stale.contains("version 2"),
        "{stale}"
    );
    assert_eq!(hidden(&stale, "revision"), "2");
    let (key, publish) = (hidden(&stale, "key"), format!("{page}/publish"));
    let fields = [
        ("key", &*key),
        ("revision", "1"),
        ("version", "1"),
        ("reason", ""),
    ];
    let stale = browser.send(&publish, &fields).await;
    assert_eq!(stale.status(), StatusCode::PRECONDITION_FAILED);
    assert!(stale.text().await.unwrap().contains("somebody changed"));
    let spec: Value = server.json(&format!("/v1/specs/{id}")).await;
    assert_eq!(
        (&spec["latest_version"], &spec["state"]),
        (&json!(2), &json!("draft"))
    );
}

#[tokio::test]
async fn form_of_another_site_is_refused() {
    let (_dir, server) = Server::fresh();
    let form = [("actor", "Eve")];
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("x-none", "no origin at all"),
    ] {
        let request = server.request(reqwest::Method::POST, "/ui/you");
        let refused = request
            .header(name, value)
            .form(&form)
            .send()
            .await
            .unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(refused.headers().get(header::SET_COOKIE).is_none());
    }
    let browser = Browser::new(&server);
    let saved = browser.send("/ui/you", &[("actor", "Grace Höpper")]).await;
    let cookie = saved.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("actor=Grace%20H%C3%B6pper;"), "{cookie}");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    let refused = browser.send("/ui/you", &[("actor", " \t ")]).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn pages_load_nothing_from_other_origins() {
    let (_dir, server) = Server::fresh();
    let browser = Browser::new(&server);
    let page = create(&browser, "limits").await;
    let paths =
        ["", "/edit", "/versions", "/versions/1", "/history"].map(|path| format!("{page}{path}"));
    let fixed = [
        "/",
        "/ui/you",
        "/ui/specs/new",
        "/ui/specs/none",
        "/?state=none",
        "/?after=none",
    ];
    for path in paths.iter().map(String::as_str).chain(fixed) {
        let response = server.get(path).await;
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(
            response.headers()[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff"
        );
        let html = response.text().await.unwrap();
        assert!(html.starts_with("<!doctype html>"), "{path}: {html}");
        let foreign: Vec<_> = html
            .split(['"', '\''])
            .filter(|part| part.contains("//"))
            .collect();
        assert!(foreign.is_empty(), "{path} refers to {foreign:?}");
        // An inline script or style would not work with the policy.
        assert!(
            !html.contains("<style") && !html.contains("style=") && !html.contains("<script>"),
            "{path}"
        );
    }
    for (path, media_type) in [
        ("/ui/style.css", "text/css"),
        ("/ui/htmx.js", "text/javascript"),
    ] {
        let file = server.get(path).await;
        let found = file.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(found.starts_with(media_type), "{path}: {found}");
    }
}

#[tokio::test]
async fn pages_of_a_long_list_follow_one_another() {
    let (_dir, server) = Server::fresh();
    for number in 0..30 {
        server.create(&format!("spec-{number:02}"), "a: 1\n").await;
    }
    let browser = Browser::new(&server);
    let (_, first) = browser.open("/").await;
    assert!(
        first.contains("spec-24") && !first.contains("spec-25"),
        "{first}"
    );
    let link = first.split("id=\"more\"").nth(1).unwrap();
    let link = link
        .split("href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let (_, second) = browser.open(&link.replace("&#38;", "&")).await;
    assert!(
        second.contains("spec-25") && second.contains("spec-29"),
        "{second}"
    );
    assert!(second.contains("30 specifications"), "{second}");
}
