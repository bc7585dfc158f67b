//! The request target: origin form and absolute form, and the authority that a host is named by.

use super::status::Refusal;

/// A request target taken apart; nothing is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// From the first slash on, `/` if the target has none; without the query.
    pub path: &'a [u8],
    /// Behind the first question mark.
    pub query: Option<&'a [u8]>,
    /// Host and port of an absolute target; it wins over the `Host` field (RFC 9112 §3.2.2).
    pub authority: Option<&'a [u8]>,
}

/// Takes apart the target of a GET or HEAD.
///
/// Visible ASCII only, and no fragment: browsers leave bytes such as `|` and `{` as they are, so these
/// pass, but a `#` is never sent and would be read differently by whoever stands in between.
pub fn split(target: &[u8]) -> Result<Target<'_>, Refusal> {
    let odd = |byte: &u8| !byte.is_ascii_graphic() || *byte == b'#';
    if target.iter().fold(false, |found, byte| found | odd(byte)) {
        return Err(Refusal::bad("an invalid byte in the target"));
    }
    if target.first() == Some(&b'/') {
        let (path, query) = split_query(target);
        return Ok(Target { path, query, authority: None });
    }
    absolute(target)
}

fn absolute(target: &[u8]) -> Result<Target<'_>, Refusal> {
    let rest = strip_scheme(target, b"http://")
        .or_else(|| strip_scheme(target, b"https://"))
        .ok_or(Refusal::bad("a target that is no path"))?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
    let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
    if !is_authority(authority) {
        return Err(Refusal::bad("an invalid host in the target"));
    }
    let (path, query) = split_query(rest);
    Ok(Target {
        path: if path.is_empty() { b"/" } else { path },
        query,
        authority: Some(authority),
    })
}

fn strip_scheme<'a>(target: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = target.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn split_query(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'?', target) {
        Some(mark) => (&target[..mark], Some(&target[mark + 1..])),
        None => (target, None),
    }
}

/// Whether `text` is `host [":" port]` of an http URI (RFC 3986 §3.2.2, RFC 9110 §4.2.1): a host that
/// is not empty, no user, at most five digits of port.
pub fn is_authority(text: &[u8]) -> bool {
    let (host_is_valid, port) = match text {
        [b'[', rest @ ..] => match rest.iter().position(|byte| *byte == b']') {
            Some(end) => (is_ip_literal(&rest[..end]), &rest[end + 1..]),
            None => return false,
        },
        _ => {
            let end = text.iter().position(|byte| *byte == b':');
            let (host, port) = text.split_at(end.unwrap_or(text.len()));
            (is_name(host), port)
        }
    };
    host_is_valid && is_port(port)
}

/// `reg-name`: letters, digits, `-._~`, sub-delims, and escapes of two hexadecimal digits.
fn is_name(mut host: &[u8]) -> bool {
    if host.is_empty() {
        return false;
    }
    while let [byte, rest @ ..] = host {
        host = match (byte, rest) {
            (b'%', [a, b, rest @ ..]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => rest,
            (b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~', _) => rest,
            (b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*', _) => rest,
            (b'+' | b',' | b';' | b'=', _) => rest,
            _ => return false,
        };
    }
    true
}

fn is_ip_literal(inner: &[u8]) -> bool {
    std::str::from_utf8(inner).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_port(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}
