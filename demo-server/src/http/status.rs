//! The answers this server can give, and the refusal: an answer that ends the connection.

use thiserror::Error;

/// Defines [`Status`] with its code, reason phrase and rendered status line.
macro_rules! statuses {
    ($($name:ident = $code:literal $reason:literal,)*) => {
        /// A status the server answers with (RFC 9110 §15).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Status {
            $(#[doc = concat!($code, " ", $reason)] $name = $code,)*
        }

        impl Status {
            /// Every status, in the order of their codes.
            pub const ALL: &[Status] = &[$(Status::$name),*];

            /// The reason phrase, as in `Not Found`.
            pub const fn reason(self) -> &'static str {
                match self { $(Status::$name => $reason,)* }
            }

            /// The status line and the fields that never change, up to the value of `Date`.
            pub(super) const fn opening(self) -> &'static [u8] {
                match self {
                    $(Status::$name => concat!(
                        "HTTP/1.1 ", $code, " ", $reason, "\r\nServer: demo-server\r\nDate: "
                    ).as_bytes(),)*
                }
            }
        }
    };
}

statuses! {
    Ok = 200 "OK",
    PartialContent = 206 "Partial Content",
    MovedPermanently = 301 "Moved Permanently",
    NotModified = 304 "Not Modified",
    BadRequest = 400 "Bad Request",
    Forbidden = 403 "Forbidden",
    NotFound = 404 "Not Found",
    MethodNotAllowed = 405 "Method Not Allowed",
    RequestTimeout = 408 "Request Timeout",
    PreconditionFailed = 412 "Precondition Failed",
    ContentTooLarge = 413 "Content Too Large",
    UriTooLong = 414 "URI Too Long",
    RangeNotSatisfiable = 416 "Range Not Satisfiable",
    ExpectationFailed = 417 "Expectation Failed",
    HeaderFieldsTooLarge = 431 "Request Header Fields Too Large",
    InternalServerError = 500 "Internal Server Error",
    NotImplemented = 501 "Not Implemented",
    ServiceUnavailable = 503 "Service Unavailable",
    VersionNotSupported = 505 "HTTP Version Not Supported",
}

impl Status {
    /// The three digits.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// Whether the answer must name the methods that would have worked (`Allow`).
    pub const fn lists_methods(self) -> bool {
        matches!(self, Status::MethodNotAllowed | Status::NotImplemented)
    }
}

/// A request that is not served: answer with `status`, then close the connection, because where the
/// next request would start is no longer certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{} {}: {why}", .status.code(), .status.reason())]
pub struct Refusal {
    /// What to answer.
    pub status: Status,
    /// What was wrong, for counters and logs; the client is not told.
    pub why: &'static str,
}

impl Refusal {
    pub(super) const fn new(status: Status, why: &'static str) -> Self {
        Refusal { status, why }
    }

    pub(super) const fn bad(why: &'static str) -> Self {
        Refusal::new(Status::BadRequest, why)
    }
}
