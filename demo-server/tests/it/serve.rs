//! The server from outside: what it answers, under every policy, and that it ends as it should.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Client, Server, eventually, pattern, tree};

/// Every policy, each with its other values beside the defaults.
const POLICIES: [&[&str]; 17] = [
    &[],
    &["--scheduler", "fifo"],
    &["--scheduler", "flat"],
    &["--scheduler", "color"],
    &["--alloc", "system"],
    &["--ring", "direct"],
    &["--ring", "threads"],
    &["--ring", "threads", "--placement", "poster"],
    &["--ring", "threads", "--placement", "measured"],
    &["--ring", "sqpoll"],
    &["--ring", "uring", "--body", "sendfile"],
    &["--ring", "direct", "--body", "sendfile", "--delivery", "eager"],
    &["--ring", "threads", "--body", "sendfile"],
    &["--delivery", "eager"],
    &["--cores", "0,1", "--steal", "libasync"],
    &["--cores", "0,1", "--steal", "libasync", "--scheduler", "flat"],
    &["--cores", "0,1", "--steal", "mely", "--steal-by", "time-left"],
];

#[test]
fn files_of_every_size_arrive_whole_under_every_policy() {
    let sizes = [0, 1, 1024, 1536, 1537, 16_384, 65_536, 65_537, 3_000_000];
    let files: Vec<_> = sizes.iter().map(|size| (format!("{size}.bin"), pattern(*size))).collect();
    let listed: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let root = tree(&listed);
    for options in POLICIES {
        let server = Server::start(root.path(), options);
        let mut kept = server.connect();
        for round in 0..2 {
            for (name, bytes) in &files {
                kept.send(format!("GET /{name} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
                let answer = kept.answer().unwrap_or_else(|| panic!("{options:?} {name} {round}"));
                assert_eq!(answer.status, 200, "{options:?} {name}");
                assert!(answer.body == *bytes, "{options:?} {name} {round}: other bytes");
            }
        }
        server.signal("-TERM");
        assert_eq!(server.wait().code(), Some(0), "{options:?}");
    }
}

#[test]
fn a_slow_reader_gets_every_byte_and_does_not_hold_up_others() {
    let big = pattern(4_000_000);
    let root = tree(&[("big.bin", &big), ("small.txt", b"small")]);
    for options in POLICIES {
        let server = Server::start(root.path(), options);
        let mut slow: Vec<_> = (0..40).map(|_| server.connect()).collect();
        for client in &mut slow {
            client.send(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n");
        }
        thread::sleep(Duration::from_millis(200));
        let start = Instant::now();
        assert_eq!(server.get("/small.txt").body, b"small", "{options:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "{options:?}: held up");
        for client in &mut slow {
            assert!(client.answer().expect("the file").body == big, "{options:?}: other bytes");
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let files: Vec<_> = (0..50).map(|n| (format!("{n}.txt"), format!("file {n}"))).collect();
    let listed: Vec<_> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let root = tree(&listed);
    for options in POLICIES {
        let server = Server::start(root.path(), options);
        let mut client = server.connect();
        let request = |n: usize| format!("GET /{}.txt HTTP/1.1\r\nHost: h\r\n\r\n", n % 50);
        let burst: String = (0..500).map(request).collect();
        client.send(burst.as_bytes());
        for n in 0..500 {
            let answer = client.answer().unwrap_or_else(|| panic!("{options:?}: answer {n}"));
            assert_eq!(answer.body, files[n % 50].1.as_bytes(), "{options:?}");
        }
    }
}

#[test]
fn pipelined_answers_of_every_size_follow_each_other_whole() {
    let sizes = [10, 1537, 1700, 2048, 10, 65_536, 65_537, 1024, 20_000];
    let files: Vec<_> = sizes.iter().map(|size| (format!("{size}.bin"), pattern(*size))).collect();
    let listed: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let root = tree(&listed);
    for options in POLICIES {
        let server = Server::start(root.path(), options);
        let mut client = server.connect();
        let request = |name: &str| format!("GET /{name} HTTP/1.1\r\nHost: h\r\n\r\n");
        let burst: String = files.iter().map(|(name, _)| request(name)).collect();
        for _ in 0..20 {
            client.send(burst.as_bytes());
            for (name, bytes) in &files {
                let answer = client.answer().unwrap_or_else(|| panic!("{options:?} {name}"));
                assert!(answer.status == 200 && answer.body == *bytes, "{options:?} {name}");
            }
        }
        assert_eq!(server.metric("panics_total"), 0, "{options:?}");
    }
}

#[test]
fn a_client_that_stops_reading_and_sends_a_body_is_answered_when_it_reads_again() {
    let big = pattern(3_000_000);
    let root = tree(&[("big.bin", &big), ("a.txt", b"a")]);
    for options in [&[][..], &["--ring", "direct"], &["--cores", "0,1", "--steal", "libasync"]] {
        let server = Server::start(root.path(), options);
        let mut client = server.connect();
        client.send(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n");
        client.send(b"GET /a.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 150000\r\n\r\n");
        client.send(&[b'x'; 150_000]);
        assert!(client.answer().expect("the file").body == big, "{options:?}");
        assert_eq!(client.answer().expect("the second answer").body, b"a", "{options:?}");
    }
}

#[test]
fn more_pipelining_clients_than_objects_do_not_wait_for_each_other() {
    let root = tree(&[("k.bin", &pattern(1000))]);
    for options in
        [&[][..], &["--ring", "direct"], &["--scheduler", "fifo"], &["--delivery", "eager"]]
    {
        let server = Server::start(root.path(), options);
        let mut clients: Vec<_> = (0..150).map(|_| server.connect()).collect();
        let burst = b"GET /k.bin HTTP/1.1\r\nHost: h\r\n\r\n".repeat(20);
        for _ in 0..5 {
            clients.iter_mut().for_each(|client| client.send(&burst));
            for client in &mut clients {
                for _ in 0..20 {
                    assert_eq!(
                        client.answer().map(|answer| answer.status),
                        Some(200),
                        "{options:?}"
                    );
                }
            }
        }
        eventually("the figures are published", || server.metric("requests_total") >= 15_000);
        // A worker that the machine leaves without its CPU may lose patience without cause now and then. Tasks that
        // wait for each other escape more than once a request.
        let escapes = server.metric("escapes_total");
        assert!(escapes < 300, "{options:?}: {escapes} tasks of 15 000 waited for each other");
    }
}

#[test]
fn clients_that_do_not_read_hold_no_objects() {
    let root = tree(&[("k.bin", &pattern(1400))]);
    for options in [&[][..], &["--ring", "direct"], &["--ring", "threads"]] {
        let server = Server::start(root.path(), options);
        let stuck: Vec<_> = (0..50)
            .map(|_| {
                let kind = socket2::Type::STREAM;
                let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
                socket.set_recv_buffer_size(4096).unwrap();
                socket.connect(&server.addr.into()).unwrap();
                socket.set_nonblocking(true).unwrap();
                socket
            })
            .collect();
        let burst = b"GET /k.bin HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1000);
        eventually("their answers have left the slab", || {
            for socket in &stuck {
                let _ = socket.send(&burst);
            }
            thread::sleep(Duration::from_millis(300));
            server.metric("answers_stalled_total") >= 45 && server.metric("slab_objects") < 8
        });
        assert_eq!(server.get("/k.bin").status, 200, "{options:?}");
        drop(stuck);
    }
}

#[test]
fn a_client_that_pipelines_and_never_reads_is_bounded() {
    let root = tree(&[("k.bin", &pattern(1024))]);
    for options in [&[][..], &["--ring", "direct"], &["--delivery", "eager"]] {
        let server = Server::start(root.path(), options);
        let client = server.connect();
        client.stream.set_nonblocking(true).unwrap();
        let burst = b"GET /k.bin HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1000);
        let (mut sent, start) = (0, Instant::now());
        while start.elapsed() < Duration::from_secs(2) {
            match std::io::Write::write(&mut &client.stream, &burst) {
                Ok(n) => sent += n,
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
        assert_eq!(server.get("/k.bin").status, 200, "{options:?}: others are served");
        let resident = server.get("/-/metrics").body;
        let resident = String::from_utf8(resident).unwrap();
        let bytes = resident
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("demo_server_resident_bytes "));
        let bytes: u64 = bytes.unwrap().parse().unwrap();
        assert!(bytes < 64 << 20, "{options:?}: {bytes} bytes resident after {sent} sent");
    }
}

#[test]
fn conditions_ranges_and_types_are_those_of_the_rfc() {
    let root =
        tree(&[("a.txt", b"0123456789"), ("d/index.html", b"<p>index"), ("x.svg", b"<svg/>")]);
    let server = Server::start(root.path(), &[]);
    let plain = server.get("/a.txt");
    assert_eq!(plain.header("content-type"), Some("text/plain; charset=utf-8"));
    let (etag, modified) = (plain.header("etag").unwrap(), plain.header("last-modified").unwrap());
    let ask = |extra: &str| {
        let mut client = server.connect();
        client.send(format!("GET /a.txt HTTP/1.1\r\nHost: h\r\n{extra}\r\n\r\n").as_bytes());
        client.answer().unwrap()
    };
    assert_eq!(ask(&format!("If-None-Match: {etag}")).status, 304);
    assert_eq!(ask(&format!("If-None-Match: \"x\", W/{etag}")).status, 304);
    assert_eq!(ask(&format!("If-Modified-Since: {modified}")).status, 304);
    assert_eq!(ask("If-Match: \"x\"").status, 412);
    let part = ask("Range: bytes=2-4");
    assert_eq!((part.status, &part.body[..]), (206, &b"234"[..]));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(ask("Range: bytes=-3").body, b"789");
    assert_eq!(ask("Range: bytes=5-99999999999999999999999").body, b"56789");
    assert_eq!(ask("Range: bytes=10-").header("content-range"), Some("bytes */10"));
    assert_eq!(ask("Range: bytes=0-1,3-4").status, 200);
    assert_eq!(ask("Range: bytes=2-4\r\nIf-Range: \"x\"").status, 200);
    assert_eq!(server.get("/d").header("location"), Some("/d/"));
    assert_eq!(server.get("/d/").body, b"<p>index");
    assert_eq!(server.get("/d/../a.txt").body, b"0123456789");
    let mut client = server.connect();
    client.send(b"HEAD /a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = client.answer_to("HEAD").unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
}

#[test]
fn nothing_outside_the_root_is_opened() {
    let outside = tree(&[("secret.txt", b"secret")]);
    let root = tree(&[("in.txt", b"inside"), ("d/e.txt", b"deep")]);
    let link = |from: &str, to: &std::path::Path| symlink(to, root.path().join(from)).unwrap();
    link("absolute", &outside.path().join("secret.txt"));
    link("folder", outside.path());
    link("up", std::path::Path::new("../../../../../../etc/passwd"));
    link("magic", std::path::Path::new("/proc/self/root/etc/passwd"));
    link("inside", std::path::Path::new("d/e.txt"));
    std::process::Command::new("mkfifo").arg(root.path().join("fifo")).status().unwrap();
    for options in [&["--ring", "uring"], &["--ring", "direct"], &["--ring", "threads"]] {
        let server = Server::start(root.path(), options);
        for path in
            ["/absolute", "/folder/secret.txt", "/up", "/magic", "/fifo", "/folder", "/nowhere"]
        {
            let answer = server.get(path);
            assert!([403, 404].contains(&answer.status), "{options:?} {path}: {}", answer.status);
        }
        for path in ["/../etc/passwd", "/%2e%2e/etc/passwd", "/d/../../in.txt", "/..%2fin.txt"] {
            assert_eq!(server.get(path).status, 400, "{options:?} {path}");
        }
        assert_eq!(
            server.get("/inside").body,
            b"deep",
            "{options:?}: links beneath the root are followed"
        );
    }
}

#[test]
fn a_file_that_changes_is_served_as_it_is_soon_after() {
    let root = tree(&[("a.txt", b"before")]);
    let server = Server::start(root.path(), &["--fresh-ms", "50"]);
    let before = server.get("/a.txt");
    assert_eq!(before.body, b"before");
    fs::write(root.path().join("a.txt"), b"after!!").unwrap();
    eventually("the new content is served", || server.get("/a.txt").body == b"after!!");
    assert_ne!(server.get("/a.txt").header("etag"), before.header("etag"));
    fs::remove_file(root.path().join("a.txt")).unwrap();
    eventually("the file is gone", || server.get("/a.txt").status == 404);
}

#[test]
fn a_file_cut_short_while_it_is_sent_ends_the_connection() {
    let root = tree(&[("big.bin", &pattern(30_000_000))]);
    for options in [&["--body", "copy"], &["--body", "sendfile"]] {
        fs::write(root.path().join("big.bin"), pattern(30_000_000)).unwrap();
        let server = Server::start(root.path(), options);
        let mut client = server.connect();
        client.send(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n");
        thread::sleep(Duration::from_millis(300));
        fs::write(root.path().join("big.bin"), b"short").unwrap();
        assert!(client.answer().is_none(), "{options:?}: padded or hung");
        assert_eq!(server.get("/-/health").status, 200, "{options:?}");
    }
}

#[test]
fn slow_requests_are_told_so_and_idle_connections_end() {
    let root = tree(&[("a.txt", b"a")]);
    let server = Server::start(root.path(), &["--request-ms", "300", "--idle-ms", "600"]);
    let mut slow = server.connect();
    slow.send(b"GET /a.txt HTTP/1.1\r\nHo");
    assert_eq!(slow.answer().map(|answer| answer.status), Some(408));
    assert!(slow.is_closed());
    let mut body = server.connect();
    body.send(b"GET /a.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    assert_eq!(body.answer().map(|answer| answer.status), Some(408));
    let mut silent = server.connect();
    assert!(silent.is_closed());
    let mut idle = server.connect();
    idle.send(b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(idle.answer().unwrap().status, 200);
    assert!(idle.is_closed());
}

#[test]
fn a_client_that_reads_nothing_is_cut_off_in_time() {
    let root = tree(&[("big.bin", &pattern(30_000_000))]);
    for options in
        [&[][..], &["--delivery", "eager"], &["--ring", "direct"], &["--body", "sendfile"]]
    {
        let server = Server::start(root.path(), &[&["--send-ms", "500"], options].concat());
        let mut stuck = server.connect();
        stuck.send(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n");
        eventually("the connection is given up", || server.metric("timeouts_total") == 1);
        eventually("nothing of it is left", || server.metric("connections") <= 2);
    }
}

#[test]
fn requests_in_flight_are_finished_when_the_server_ends() {
    let big = pattern(8_000_000);
    let root = tree(&[("big.bin", &big)]);
    for (signal, options) in
        [("-TERM", &[][..]), ("-INT", &["--ring", "direct"]), ("-TERM", &["--ring", "threads"])]
    {
        let server = Server::start(root.path(), options);
        let mut idle = server.connect();
        idle.send(b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(idle.answer().unwrap().status, 404);
        let mut busy = server.connect();
        busy.send(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n");
        thread::sleep(Duration::from_millis(100));
        server.signal(signal);
        assert!(idle.is_closed(), "{options:?}: an idle connection is closed");
        assert!(busy.answer().expect("the answer goes on").body == big, "{options:?}");
        drop((idle, busy));
        assert_eq!(server.wait().code(), Some(0), "{options:?}");
    }
}

#[test]
fn a_client_that_never_goes_away_does_not_keep_the_server() {
    let root = tree(&[("big.bin", &pattern(30_000_000))]);
    let server = Server::start(root.path(), &["--grace-ms", "300"]);
    let mut stuck = server.connect();
    stuck.send(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n");
    thread::sleep(Duration::from_millis(100));
    server.signal("-TERM");
    let start = Instant::now();
    assert_eq!(server.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_client_that_keeps_its_side_open_does_not_delay_the_end() {
    let root = tree(&[("a.txt", b"a")]);
    let server = Server::start(root.path(), &[]);
    let mut lingering = server.connect();
    lingering.send(b"GET /a.txt HTTP/1.0\r\n\r\n");
    assert_eq!(lingering.answer().map(|answer| answer.status), Some(200));
    server.signal("-TERM");
    let start = Instant::now();
    assert_eq!(server.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(8), "it waited for the grace period");
    drop(lingering);
}

#[test]
fn ten_thousand_idle_connections_cost_less_than_two_kibibytes_each() {
    const CONNECTIONS: usize = 10_000;
    let root = tree(&[("a.txt", b"a")]);
    let server = Server::start(root.path(), &[]);
    let resident = || {
        let text = fs::read_to_string(format!("/proc/{}/statm", server.pid())).unwrap();
        text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    server.get("/a.txt");
    let before = resident();
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut client = server.connect();
        client.send(b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.answer().map(|answer| answer.status), Some(200));
        clients.push(client);
    }
    let each = resident().saturating_sub(before) / CONNECTIONS;
    assert!(each < 2048, "{each} bytes a connection");
}

#[test]
fn connections_above_the_limit_are_told_503() {
    let root = tree(&[("a.txt", b"a")]);
    let server = Server::start(root.path(), &["--max-connections", "3"]);
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.answer().unwrap().status, 200);
    }
    assert_eq!(server.connect().answer().map(|answer| answer.status), Some(503));
    clients.pop();
    eventually("a place is free again", || {
        let mut client = server.connect();
        let _ = std::io::Write::write_all(
            &mut client.stream,
            b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n",
        );
        client.answer().is_some_and(|answer| answer.status == 200)
    });
}

#[test]
fn the_sample_site_and_its_live_page_are_there_without_arguments() {
    let server = Server::run(&["serve", "--http", "127.0.0.1:0"]);
    let home = server.get("/");
    assert_eq!(home.status, 200);
    assert!(String::from_utf8(home.body).unwrap().contains("/-/"), "it links to the live page");
    assert_eq!(server.get("/-/").header("cache-control"), Some("no-store"));
    assert_eq!(server.get("/nothing").status, 404);
    eventually("requests are counted", || server.metric("requests_total") > 3);
    let mut rebound = server.connect();
    rebound.send(b"GET /-/ HTTP/1.1\r\nHost: attacker.example\r\n\r\n");
    assert_eq!(rebound.answer().unwrap().status, 404, "not through a foreign name");
}

#[test]
fn what_was_chosen_is_said_at_start() {
    let root = tree(&[("a.txt", b"a")]);
    let options =
        ["--scheduler", "fifo", "--alloc", "system", "--ring", "direct", "--delivery", "eager"];
    let server = Server::start(root.path(), &options);
    for words in ["alloc system", "scheduler fifo", "engine direct", "delivery eager"] {
        assert!(server.log.contains(words), "{words} is missing in: {}", server.log);
    }
    let log = Server::start(root.path(), &[]).log.clone();
    assert!(log.contains("; slab "), "the slab says what was checked: {log}");
}

#[test]
fn data_is_held_back_while_its_socket_is_busy_and_only_under_ded() {
    let root = tree(&[("big.bin", &pattern(8_000_000)), ("k.bin", &pattern(1024))]);
    for (delivery, holds) in [("ded", true), ("eager", false)] {
        let server = Server::start(root.path(), &["--delivery", delivery]);
        let mut slow = server.connect();
        slow.send(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n");
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(slow.answer().map(|answer| answer.body.len()), Some(8_000_000), "{delivery}");
        let mut ahead = server.connect();
        ahead.send(&b"GET /k.bin HTTP/1.1\r\nHost: h\r\n\r\n".repeat(20));
        for _ in 0..20 {
            assert_eq!(ahead.answer().map(|answer| answer.status), Some(200), "{delivery}");
        }
        eventually("the figures are published", || server.metric("requests_total") > 21);
        assert_eq!(server.metric("pairs_deferred_total") > 0, holds, "{delivery}");
        assert_eq!(
            server.metric("pairs_deferred_total"),
            server.metric("pairs_released_total"),
            "{delivery}"
        );
    }
}
