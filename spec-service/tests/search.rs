//! Full-text search on SQLite and PostgreSQL.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/databases.rs"]
mod databases;

use factum::Timestamp;
use spec_service::access::domain::Caller;
use spec_service::app::RequestContext;
use spec_service::search::{FilterValue, Filters, SearchPage, SearchQuery};
use spec_service::specs::app::{NewSpec, NewVersion, Specs};
use spec_service::specs::domain::{SpecId, SpecState};
use spec_service::wiring::Wired;

use databases::Databases;

fn by(actor: &str) -> RequestContext {
    RequestContext::of(Caller::development(Some(actor)))
}

async fn create(specs: &Specs, name: &str, description: &str, content: &str) -> SpecId {
    let new = NewSpec {
        namespace: None,
        name,
        content: content.as_bytes(),
        description: Some(description.to_owned()),
        reason: None,
    };
    specs.create(new, &by("ann")).await.unwrap().id
}

async fn update(specs: &Specs, id: SpecId, content: &str, actor: &str) {
    let new = NewVersion {
        content: content.as_bytes(),
        description: None,
        reason: None,
        expected_version: None,
    };
    specs.update(id, new, &by(actor)).await.unwrap();
}

fn text(query: &str) -> SearchQuery {
    SearchQuery {
        text: query.parse().unwrap(),
        ..SearchQuery::default()
    }
}

async fn page(wired: &Wired, query: SearchQuery) -> SearchPage {
    wired.search.page(query, &by("ann")).await.unwrap()
}

/// Returns the names of the hits.
async fn names(wired: &Wired, query: SearchQuery) -> Vec<String> {
    let hits = page(wired, query).await.hits;
    hits.into_iter()
        .map(|hit| hit.entry.name.to_string())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn search_finds_words_phrases_and_prefixes() {
    for database in Databases::start().all() {
        let wired = database.open().await;
        let specs = &wired.specs;
        create(specs, "refund-limits", "per day", "limit: 250\n").await;
        create(specs, "routes", "Refund routes", "limits:\n  - refund\n").await;
        create(
            specs,
            "limits",
            "",
            "# the refund limits of Zürich\nday: per\n",
        )
        .await;
        create(
            specs,
            "other.v2",
            "2e2",
            "text: \"it's 100% & \\\"quoted\\\"\"\n",
        )
        .await;
        for (query, expected) in [
            ("refund", &["refund-limits", "routes", "limits"][..]),
            ("REFUND limits", &["refund-limits", "limits", "routes"]),
            ("limits refund", &["refund-limits", "limits", "routes"]),
            ("refund-limits", &["refund-limits", "limits"]),
            ("\"refund limits\"", &["refund-limits", "limits"]),
            ("\"limits refund\"", &["routes"]),
            ("refund -day", &["routes"]),
            ("refund -\"per day\"", &["routes", "limits"]),
            ("lim*", &["limits", "refund-limits", "routes"]),
            ("\"the refund\" lim*", &["limits"]),
            ("zurich", &["limits"]),
            ("ZÜR*", &["limits"]),
            ("other.v2", &["other.v2"]),
            ("it's \"100 quoted\"", &["other.v2"]),
            ("v2 refund", &[]),
            ("2e2", &["other.v2"]),
            ("", &["other.v2", "limits", "routes", "refund-limits"]),
        ] {
            assert_eq!(
                names(&wired, text(query)).await,
                expected,
                "{database:?} {query}"
            );
        }
        wired.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn search_follows_every_change() {
    for database in Databases::start().all() {
        let wired = database.open().await;
        let specs = &wired.specs;
        let id = create(specs, "limits", "", "old: word\n").await;
        create(specs, "routes", "", "old: word\n").await;
        update(specs, id, "new: word\n", "bob").await;
        assert_eq!(names(&wired, text("old")).await, ["routes"], "{database:?}");
        assert_eq!(names(&wired, text("new word")).await, ["limits"]);

        specs.publish(id, Some(1), None, &by("bob")).await.unwrap();
        let in_state = |state| {
            let mut query = text("limits");
            query.filters.state = Some(state);
            query
        };
        let hit = page(&wired, in_state(SpecState::Published))
            .await
            .hits
            .remove(0)
            .entry;
        assert_eq!((hit.latest_version, hit.published_version), (2, Some(1)));
        assert_eq!(names(&wired, in_state(SpecState::Draft)).await, [""; 0]);

        specs.delete(id, None, &by("bob")).await.unwrap();
        assert_eq!(names(&wired, text("limits")).await, [""; 0]);
        assert_eq!(
            names(&wired, in_state(SpecState::Deleted)).await,
            ["limits"]
        );

        assert_eq!(
            names(&wired, in_state(SpecState::Deleted)).await,
            ["limits"]
        );
        assert_eq!(names(&wired, text("word")).await, ["routes"]);
        wired.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_select_by_value_and_time() {
    for database in Databases::start().all() {
        let wired = database.open().await;
        let specs = &wired.specs;
        let id = create(specs, "limits", "", "a: word\n").await;
        create(specs, "routes", "", "a: word\n").await;
        let entry = page(&wired, text("routes")).await.hits.remove(0).entry;
        let filtered = |filters| SearchQuery {
            filters,
            ..text("word")
        };
        let since = |micros: i64| {
            filtered(Filters {
                changed_since: Some(Timestamp::from_micros(
                    entry.updated_at.as_micros() + micros,
                )),
                ..Filters::default()
            })
        };
        assert_eq!(names(&wired, since(0)).await, ["routes"], "{database:?}");
        assert_eq!(names(&wired, since(1)).await, [""; 0]);
        update(specs, id, "another: word\n", "bob").await;
        assert_eq!(names(&wired, since(1)).await, ["limits"]);

        let value = |value| {
            filtered(Filters {
                values: vec![value],
                ..Filters::default()
            })
        };
        let actor = |name: &str| value(FilterValue::Actor(name.to_owned()));
        assert_eq!(names(&wired, actor("bob")).await, ["limits"]);
        assert_eq!(names(&wired, actor("ann")).await, ["routes", "limits"]);
        assert_eq!(names(&wired, actor("' or 1=1 --")).await, [""; 0]);
        assert_eq!(
            names(&wired, value(FilterValue::Label("ann".to_owned()))).await,
            [""; 0]
        );
        wired.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_query_is_never_an_error_of_the_database() {
    let parts = [
        "\"",
        "'",
        "*",
        "-",
        "(",
        ")",
        "{",
        "}",
        ":",
        "^",
        "+",
        "&",
        "|",
        "!",
        "<->",
        "<2>",
        "\\",
        ";",
        "--",
        "/*",
        "NEAR",
        "AND",
        "OR",
        "NOT",
        "name:",
        "{name}:",
        "a",
        "bc",
        "ab*",
        "\"d e\"",
        " ",
        "\u{0}",
        "\u{1F600}",
        "é",
        "ß",
        "İ",
        "日本",
        "%",
        "_",
        "$1",
        "::tsquery",
        "\u{301}",
        "\u{200d}",
        "\u{feff}",
        "1e5",
        "0x1f",
    ];
    for database in Databases::start().all() {
        let wired = database.open().await;
        create(&wired.specs, "limits", "", "a: bc\n").await;
        let (mut random, mut accepted) = (1_u64, 0);
        for _ in 0..400 {
            let mut query = String::new();
            for _ in 0..6 {
                // The constants of Knuth's MMIX generator.
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                query.push_str(parts[(random >> 33) as usize % parts.len()]);
            }
            let Ok(text) = query.parse() else { continue };
            let search = SearchQuery {
                text,
                ..SearchQuery::default()
            };
            let found = wired.search.page(search, &by("ann")).await;
            assert!(found.is_ok(), "{database:?} {query:?}: {found:?}");
            accepted += 1;
        }
        assert!(accepted > 100, "{accepted}");
        wired.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_stable_while_others_write() {
    for database in Databases::start().all() {
        let wired = database.open().await;
        let specs = &wired.specs;
        let mut expected = Vec::new();
        for number in 0..30 {
            // Every third specification has the word in its name, every third one in its description.
            let (name, description) = match number % 3 {
                0 => (format!("word-{number}"), ""),
                1 => (format!("s{number}"), "a word"),
                _ => (format!("s{number}"), ""),
            };
            create(specs, &name, description, "a: word\n").await;
            expected.push((number % 3, -number, name));
        }
        expected.sort();
        let expected: Vec<String> = expected.into_iter().map(|(.., name)| name).collect();
        let mut seen = Vec::new();
        let mut query = SearchQuery {
            limit: 4,
            ..text("word")
        };
        let mut others = Vec::new();
        loop {
            let page = page(&wired, query.clone()).await;
            assert!(page.total_is_exact && page.total >= 30, "{}", page.total);
            let found = page.hits.iter().map(|hit| hit.entry.name.to_string());
            seen.extend(found.filter(|name| !name.starts_with("other")));
            let Some(next) = page.next else { break };
            query.after = Some(next);
            // The words become more frequent, and the newest specifications are others.
            let other = format!("other-{}", seen.len());
            others.push(create(specs, &other, "word word", "word: word word word\n").await);
            update(specs, others[0], "word: [word]\n", "bob").await;
        }
        assert_eq!(seen, expected, "{database:?}");
        wired.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn total_is_counted_up_to_a_limit() {
    let databases = Databases::start();
    let wired = databases.sqlite().open().await;
    let mut created = Vec::new();
    for number in 0..1_001 {
        let specs = wired.specs.clone();
        created.push(tokio::spawn(async move {
            create(&specs, &format!("word-{number}"), "", "a: 1\n").await;
        }));
    }
    for task in created {
        task.await.unwrap();
    }
    let counted = async |query| {
        let page = page(&wired, text(query)).await;
        (page.total, page.total_is_exact, page.hits.len())
    };
    assert_eq!(counted("word -500").await, (1_000, true, 50));
    assert_eq!(counted("word").await, (1_000, false, 50));
    wired.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn highlights_show_the_matching_lines() {
    let databases = Databases::start();
    let wired = databases.sqlite().open().await;
    create(
        &wired.specs,
        "refund-limits",
        "of each day",
        "a: 1\nday: <b>refund</b>\n",
    )
    .await;
    let hit = page(&wired, text("refund day")).await.hits.remove(0);
    let shown = |highlight: Option<spec_service::search::Highlight>| {
        let highlight = highlight.unwrap();
        let parts = highlight
            .parts
            .into_iter()
            .map(|part| (part.text, part.is_match));
        (highlight.line, parts.collect::<Vec<_>>())
    };
    let part = |text: &str, is_match| (text.to_owned(), is_match);
    assert_eq!(
        shown(hit.name),
        (1, vec![part("refund", true), part("-limits", false)])
    );
    assert_eq!(
        shown(hit.description),
        (1, vec![part("of each ", false), part("day", true)])
    );
    let content = vec![
        part("day", true),
        part(": <b>", false),
        part("refund", true),
        part("</b>", false),
    ];
    assert_eq!(shown(hit.content), (2, content));
    wired.close().await;
}
