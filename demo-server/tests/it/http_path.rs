//! Paths: where they lead, and that none leads out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use demo_server::http::path::{PathError, directory_location, resolve};
use proptest::prelude::*;

fn resolved(raw: &[u8]) -> Result<(Vec<u8>, bool), PathError> {
    let mut out = [0; 256];
    let found = resolve(raw, &mut out)?;
    Ok((out[..found.len].to_vec(), found.directory))
}

#[test]
fn paths_are_decoded_once_and_normalised() {
    for (raw, path, directory) in [
        ("/", "", true),
        ("/a", "a", false),
        ("/a/", "a", true),
        ("/a/b.html", "a/b.html", false),
        ("//", "", true),
        ("//a///b", "a/b", false),
        ("/./", "", true),
        ("/./a/./b/.", "a/b", true),
        ("/a/../b", "b", false),
        ("/a/b/..", "a", true),
        ("/a/b/../", "a", true),
        ("/a/b/../../c", "c", false),
        ("/a/..", "", true),
        ("/a/%2e%2E/b", "b", false),
        ("/a/.%2e", "", true),
        ("/%61%2Eb", "a.b", false),
        ("/%252e%252e/", "%2e%2e", true),
        ("/...", "...", false),
        ("/..a/.b", "..a/.b", false),
        ("/a b", "a b", false),
        ("/%20", " ", false),
        ("/a?b", "a?b", false),
        ("/~a/%7e", "~a/~", false),
    ] {
        let expected = Ok((path.as_bytes().to_vec(), directory));
        assert_eq!(resolved(raw.as_bytes()), expected, "{raw}");
    }
    assert_eq!(resolved(b"/%c3%a9%ff"), Ok((b"\xc3\xa9\xff".to_vec(), false)));
}

#[test]
fn paths_that_could_mean_two_things_are_refused() {
    for (raw, error) in [
        ("", PathError::Relative),
        ("a", PathError::Relative),
        ("*", PathError::Relative),
        ("/..", PathError::AboveRoot),
        ("/../", PathError::AboveRoot),
        ("/../etc/passwd", PathError::AboveRoot),
        ("/%2e%2e/", PathError::AboveRoot),
        ("/.%2e/x", PathError::AboveRoot),
        ("/a/../../x", PathError::AboveRoot),
        ("/a/../../a/x", PathError::AboveRoot),
        ("//../x", PathError::AboveRoot),
        ("/./../x", PathError::AboveRoot),
        ("/..%2f", PathError::Byte),
        ("/a%2Fb", PathError::Byte),
        ("/..\\x", PathError::Byte),
        ("/%5c..%5cx", PathError::Byte),
        ("/1k.txt%00", PathError::Byte),
        ("/%00", PathError::Byte),
        ("/a\0", PathError::Byte),
        ("/%0a", PathError::Byte),
        ("/%7f", PathError::Byte),
        ("/%", PathError::Escape),
        ("/%2", PathError::Escape),
        ("/%zz", PathError::Escape),
        ("/%2/x", PathError::Escape),
        ("/%+1", PathError::Escape),
        ("/%u002e", PathError::Escape),
    ] {
        assert_eq!(resolved(raw.as_bytes()), Err(error), "{raw}");
    }
    // Overlong forms are bytes of a name, not another way to write a slash or a dot.
    assert_eq!(resolved(b"/%c0%ae%c0%af"), Ok((b"\xc0\xae\xc0\xaf".to_vec(), false)));
}

#[test]
fn a_path_longer_than_the_buffer_is_refused() {
    let mut out = [0; 4];
    assert_eq!(resolve(b"/abcd", &mut out).map(|found| found.len), Ok(4));
    assert_eq!(resolve(b"/a/bc", &mut out).map(|found| found.len), Ok(4));
    assert_eq!(resolve(b"/abcde", &mut out), Err(PathError::TooLong));
    assert_eq!(resolve(b"/a/bcd", &mut out), Err(PathError::TooLong));
    assert_eq!(resolve(b"/abcd/e", &mut out), Err(PathError::TooLong));
    assert_eq!(resolve(b"//", &mut []).map(|found| found.len), Ok(0));
    assert_eq!(resolve(b"/a", &mut []), Err(PathError::TooLong));
}

#[test]
fn a_directory_is_moved_to_itself_and_nowhere_else() {
    let location = |resolved: &[u8], query: Option<&[u8]>| {
        let mut out = [0; 64];
        let len = directory_location(resolved, query, &mut out)?;
        Some(String::from_utf8_lossy(&out[..len]).into_owned())
    };
    assert_eq!(location(b"a/b", None).as_deref(), Some("/a/b/"));
    assert_eq!(location(b"", None).as_deref(), Some("/"));
    assert_eq!(location(b"a", Some(b"x=1")).as_deref(), Some("/a/?x=1"));
    assert_eq!(
        location(b"\xc3\xa9 %?#\"<\r\n", None).as_deref(),
        Some("/%C3%A9%20%25%3F%23%22%3C%0D%0A/")
    );
    assert_eq!(location(&[b'a'; 64], None), None);
    // A path such as //evil.example/.. never comes back as a host.
    let (path, _) = resolved(b"//evil.example/a/").unwrap_or_default();
    assert_eq!(location(&path, None).as_deref(), Some("/evil.example/a/"));
}

/// Paths out of the pieces that matter.
fn path_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "//", ".", "..", "%2e", "%2E%2e", "a", "b", "%61", "...", "%20", "%2f", "%5c",
        "\\", "%00", "%",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// The oracle: decode all, then let `std::path` take the components.
fn oracle(raw: &str) -> Option<PathBuf> {
    let mut decoded = Vec::new();
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let byte = u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
                if byte == b'/' {
                    return None;
                }
                byte
            }
            byte => byte,
        });
    }
    if decoded.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\') {
        return None;
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(&decoded)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir if !path.pop() => return None,
            _ => {}
        }
    }
    Some(path)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn paths_lead_where_std_path_says_and_never_out(raw in path_text()) {
        let found = resolved(raw.as_bytes()).ok().map(|(path, _)| path);
        let expected = oracle(&raw).map(|path| path.as_os_str().as_bytes().to_vec());
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn whatever_resolves_has_plain_components_only(raw in any::<Vec<u8>>()) {
        let raw = [b"/", &raw[..]].concat();
        let mut out = vec![0; raw.len()];
        match resolve(&raw, &mut out) {
            Ok(found) => {
                let path = &out[..found.len];
                prop_assert!(!path.contains(&0));
                prop_assert!(found.len == 0 || path.split(|byte| *byte == b'/').all(|name| !matches!(name, b"" | b"." | b"..")));
            }
            Err(error) => prop_assert_ne!(error, PathError::TooLong),
        }
    }

    #[test]
    fn a_location_resolves_to_what_it_was_made_from(raw in path_text()) {
        let Ok((path, _)) = resolved(raw.as_bytes()) else { return Ok(()) };
        let mut out = [0; 512];
        let Some(len) = directory_location(&path, None, &mut out) else { return Err(TestCaseError::fail("too small")) };
        prop_assert_eq!(resolved(&out[..len]), Ok((path, true)));
        prop_assert!(!out[..len].starts_with(b"//"));
    }
}
