//! What a person reads who gets an error: one small page a status, fixed at compile time, so that no
//! byte of a request, no path and no version is ever in it.

use super::status::Status;

macro_rules! page {
    ($title:literal, $text:literal) => {
        concat!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">",
            "<meta name=\"viewport\" content=\"width=device-width\">",
            "<meta name=\"color-scheme\" content=\"light dark\"><title>",
            $title,
            "</title><style>body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;",
            "margin:18vh auto;padding:0 1.25rem}h1{font-size:1.4rem}</style></head>\n<body><h1>",
            $title,
            "</h1><p>",
            $text,
            "</p></body></html>\n"
        )
    };
}

/// The page for a status; empty for those that have no page of their own (200, 206, 304).
pub const fn error_page(status: Status) -> &'static str {
    match status {
        Status::Ok | Status::PartialContent | Status::NotModified => "",
        Status::MovedPermanently => page!("Moved", "This directory is one slash away."),
        Status::BadRequest => page!(
            "Bad request",
            "The server could not read this request, or could read it in two ways."
        ),
        Status::Forbidden => page!("Forbidden", "This is not for reading."),
        Status::NotFound => {
            page!(
                "Not found",
                "There is nothing at this address. Directories without an index.html are not listed."
            )
        }
        Status::MethodNotAllowed => {
            page!("Method not allowed", "This server reads files to you: ask with GET or HEAD.")
        }
        Status::RequestTimeout => page!("Too slow", "The request took too long to arrive."),
        Status::PreconditionFailed => page!(
            "Precondition failed",
            "The file is no longer the version this request was made for."
        ),
        Status::ContentTooLarge => page!("Too large", "The body of this request is too large."),
        Status::UriTooLong => page!("Address too long", "This address is longer than any here."),
        Status::RangeNotSatisfiable => {
            page!("Range not satisfiable", "The file ends before the bytes that were asked for.")
        }
        Status::ExpectationFailed => page!(
            "Expectation failed",
            "The only expectation this server can meet is 100-continue."
        ),
        Status::HeaderFieldsTooLarge => page!(
            "Headers too large",
            "The header fields of this request are too many or too long."
        ),
        Status::InternalServerError => {
            page!("Internal error", "The server failed on this request. Others are not affected.")
        }
        Status::NotImplemented => {
            page!("Not implemented", "The server does not know this method or transfer coding.")
        }
        Status::ServiceUnavailable => {
            page!("Unavailable", "The server is at its limit or about to stop. Try again soon.")
        }
        Status::VersionNotSupported => {
            page!("HTTP version not supported", "This server speaks HTTP/1.1 and HTTP/1.0.")
        }
    }
}
