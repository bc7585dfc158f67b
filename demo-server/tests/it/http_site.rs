//! The embedded site: whole, self-contained, and served as what it is.

use demo_server::http::mime::{ContentType, HTML};
use demo_server::site::{PAGES, Page, lookup};

/// The pages of text, with their text.
fn html() -> impl Iterator<Item = (&'static Page, &'static str)> {
    PAGES.iter().filter(|page| page.content_type == HTML).map(|page| {
        let text = std::str::from_utf8(page.bytes).expect("a page is text");
        (page, text)
    })
}

/// The values of an attribute, wherever it stands.
fn values<'a>(text: &'a str, attribute: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(attribute).skip(1).filter_map(|rest| rest.strip_prefix("=\"")?.split('"').next())
}

#[test]
fn the_root_is_the_index_and_what_is_not_there_is_not_found() {
    assert_eq!(lookup("").map(|page| page.path), Some("index.html"));
    for page in PAGES {
        assert_eq!(lookup(page.path), Some(page));
        assert_eq!(page.content_type, ContentType::of(page.path.as_bytes()), "{}", page.path);
    }
    for missing in ["/", "index", "slab", "pages/slab.html", "../index.html", "-", "index.html/"] {
        assert_eq!(lookup(missing), None, "{missing}");
    }
}

#[test]
fn every_link_leads_to_a_page_or_to_the_live_figures() {
    for (page, text) in html() {
        for link in values(text, " href").chain(values(text, " src")) {
            let known = link.strip_prefix('/').is_some_and(|path| lookup(path).is_some());
            assert!(known || link == "/-/", "{}: {link}", page.path);
        }
        for shape in text.split("url(#").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(text.contains(&format!("id=\"{shape}\"")), "{}: {shape}", page.path);
        }
    }
}

#[test]
fn nothing_comes_from_elsewhere_and_nothing_runs() {
    for page in PAGES {
        let text = String::from_utf8_lossy(page.bytes).replace("http://www.w3.org/2000/svg", "");
        for foreign in
            ["http:", "https:", "\"//", "<script", "<iframe", "@import", "url(//", " onclick"]
        {
            assert!(!text.contains(foreign), "{}: {foreign}", page.path);
        }
    }
}

#[test]
fn a_page_and_its_head_fit_in_one_chunk() {
    for page in PAGES {
        assert!(page.bytes.len() <= 15 << 10, "{}: {} bytes", page.path, page.bytes.len());
    }
}

#[test]
fn what_a_page_opens_it_closes() {
    const VOID: [&str; 6] = ["meta", "link", "img", "br", "hr", "!doctype"];
    for (page, text) in html() {
        let mut open = Vec::new();
        for tag in text.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').expect("a tag ends");
            let name =
                tag.split([' ', '\n', '/']).find(|name| !name.is_empty()).unwrap_or_default();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "{}: {tag}", page.path);
            } else if !tag.ends_with('/') && !VOID.contains(&name) {
                open.push(name);
            }
        }
        assert_eq!(open, [""; 0], "{}", page.path);
        assert_eq!(text.matches("<h1>").count(), 1, "{}", page.path);
        assert_eq!(
            text.matches("<svg").count(),
            text.matches("aria-label").count(),
            "{}",
            page.path
        );
    }
}
