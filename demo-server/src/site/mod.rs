//! The embedded sample site: what a visitor sees who starts the server without a directory to serve.
//!
//! The pages say what the server does, so they belong to its source: whoever changes a mechanism finds
//! the sentence about it here. Each is a fragment under `pages/`; what all have in common is `frame!`.
//! Nothing is loaded from elsewhere and nothing needs a script.

use crate::http::mime::{self, ContentType};

/// A file of the embedded site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its path below the root, as in `index.html`.
    pub path: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
    /// What it is.
    pub content_type: ContentType,
}

/// A whole page: its name (of the file and for the style sheet), its title, its fragment.
macro_rules! frame {
    ($name:literal, $title:literal) => {
        Page {
            path: concat!($name, ".html"),
            bytes: concat!(
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
                "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
                $title,
                "</title>\n<link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\">\n",
                "<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body class=\"",
                $name,
                "\">\n",
                include_str!("pages/header.html"),
                "<main>\n",
                include_str!(concat!("pages/", $name, ".html")),
                "</main>\n",
                include_str!("pages/footer.html"),
                "</body>\n</html>\n"
            )
            .as_bytes(),
            content_type: mime::HTML,
        }
    };
}

/// Every file of the site.
pub const PAGES: &[Page] = &[
    frame!("index", "demo-server: this page took the long way"),
    frame!("slab", "Slab and permits · demo-server"),
    frame!("colors", "Colors and stages · demo-server"),
    frame!("stealing", "Stealing · demo-server"),
    frame!("calls", "Posted system calls · demo-server"),
    frame!("pairs", "Event pairs · demo-server"),
    Page { path: "style.css", bytes: include_bytes!("style.css"), content_type: mime::CSS },
    Page { path: "favicon.svg", bytes: include_bytes!("favicon.svg"), content_type: mime::SVG },
    Page { path: "robots.txt", bytes: include_bytes!("robots.txt"), content_type: mime::TEXT },
];

/// The file at `path`, which is normalised and has no slash in front; the root is `index.html`.
pub fn lookup(path: &str) -> Option<&'static Page> {
    let path = if path.is_empty() { "index.html" } else { path };
    PAGES.iter().find(|page| page.path == path)
}
