//! Which content type a file name promises.

/// A content type: from a fixed table, so that it costs nothing to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType {
    essence: &'static str,
}

/// HTML in UTF-8.
pub const HTML: ContentType = ContentType { essence: "text/html" };
/// Plain text in UTF-8.
pub const TEXT: ContentType = ContentType { essence: "text/plain" };
/// Style sheets in UTF-8.
pub const CSS: ContentType = ContentType { essence: "text/css" };
/// SVG pictures in UTF-8.
pub const SVG: ContentType = ContentType { essence: "image/svg+xml" };
/// Bytes of which nothing is known.
pub const BYTES: ContentType = ContentType { essence: "application/octet-stream" };

impl ContentType {
    /// The type of a file by the extension of its name.
    pub fn of(path: &[u8]) -> Self {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else {
            return BYTES;
        };
        let Ok(extension) = std::str::from_utf8(&name[dot + 1..]) else {
            return BYTES;
        };
        // The table's answer for .ts is a vendor's name for what IANA calls video/mp2t.
        let essence = if extension.eq_ignore_ascii_case("ts") {
            Some("video/mp2t")
        } else {
            mime_guess::from_ext(extension).first_raw()
        };
        essence.map_or(BYTES, |essence| ContentType { essence })
    }

    /// Type and subtype, as in `text/html`.
    pub const fn essence(self) -> &'static str {
        self.essence
    }

    /// What follows the essence: the character encoding of text, else nothing.
    pub fn parameters(self) -> &'static str {
        let is_text = self.essence.starts_with("text/")
            || matches!(
                self.essence,
                "image/svg+xml"
                    | "application/javascript"
                    | "application/json"
                    | "application/manifest+json"
                    | "application/xml"
                    | "application/xhtml+xml"
            );
        if is_text { "; charset=utf-8" } else { "" }
    }
}
