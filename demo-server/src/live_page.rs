//! What has happened so far: a page for people at `/-/`, a text for scrapers at `/-/metrics`.
//!
//! Both are made from the cores' counters when they are asked for, and only for clients on this machine that call
//! it by a loopback name: a page of another site cannot read them through a name that it points here.

use std::fmt::Write;

use crate::files::FileEntry;
use crate::http::mime;
use crate::metrics::{COUNTERS, Kind, Metrics, QUANTILES, STAGE_FIGURES, TIMES};

/// Is `host`, as a request names it, a name of this machine for itself?
#[must_use]
pub fn is_loopback_name(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|addr| addr.is_loopback())
}

/// The page or text at `path`, which begins with `-`; none if there is none there.
#[must_use]
pub fn at(path: &[u8], metrics: &Metrics) -> Option<FileEntry> {
    match path {
        b"-" => Some(FileEntry::text(mime::HTML, page(metrics))),
        b"-/metrics" => Some(FileEntry::text(mime::TEXT, exposition(metrics))),
        b"-/health" => Some(FileEntry::text(mime::TEXT, "ok\n".to_owned())),
        _ => None,
    }
}

/// The counters in the Prometheus text format, a sample a core.
#[must_use]
pub fn exposition(metrics: &Metrics) -> String {
    let mut text = String::with_capacity(8192);
    for (name, kind, help, read) in COUNTERS {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ =
            write!(text, "# HELP demo_server_{name} {help}\n# TYPE demo_server_{name} {kind}\n");
        for (core, block) in metrics.cores.iter().enumerate() {
            let _ = writeln!(text, "demo_server_{name}{{core=\"{core}\"}} {}", read(block));
        }
    }
    for (name, help, read) in TIMES {
        let _ = write!(text, "# HELP demo_server_{name} {help}\n# TYPE demo_server_{name} gauge\n");
        for (core, block) in metrics.cores.iter().enumerate() {
            for (index, share) in QUANTILES.iter().enumerate() {
                let seconds = read(block).get(index).as_secs_f64();
                let _ = writeln!(
                    text,
                    "demo_server_{name}{{core=\"{core}\",quantile=\"{share}\"}} {seconds}"
                );
            }
        }
    }
    for (name, help, read) in STAGE_FIGURES {
        let _ = write!(text, "# HELP demo_server_{name} {help}\n# TYPE demo_server_{name} gauge\n");
        for (core, block) in metrics.cores.iter().enumerate() {
            let Ok(stages) = block.stages.lock() else { continue };
            for stage in stages.iter() {
                let labels = format!("core=\"{core}\",stage=\"{}\"", stage.name);
                let _ = writeln!(text, "demo_server_{name}{{{labels}}} {}", read(stage));
            }
        }
    }
    let resident = crate::sys::resident_bytes().unwrap_or(0);
    let _ = write!(
        text,
        "# HELP demo_server_resident_bytes Memory that the process has resident\n\
         # TYPE demo_server_resident_bytes gauge\ndemo_server_resident_bytes {resident}\n"
    );
    text
}

const HEAD: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    "<meta name=\"color-scheme\" content=\"light dark\">\n",
    "<meta http-equiv=\"refresh\" content=\"2\">\n<title>Live figures</title>\n",
    "<style>",
    include_str!("site/style.css"),
    "td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}",
    "pre{overflow-x:auto}</style>\n</head>\n<body class=\"live\">\n",
    "<main>\n",
);
const FOOT: &str = "</main>\n</body>\n</html>\n";

fn page(metrics: &Metrics) -> String {
    let mut html = String::with_capacity(16 << 10);
    html.push_str(HEAD);
    let up = metrics.started.elapsed().as_secs();
    let _ = write!(
        html,
        "<h1>Live figures</h1><p>Up for {up} s on {} core(s); renewed every 2 s. \
         For scrapers: <a href=/-/metrics>/-/metrics</a>. Back to <a href=/>what is served</a>.</p>",
        metrics.cores.len()
    );
    if let Ok(notes) = metrics.notes.lock() {
        html.push_str("<ul>");
        for note in notes.iter() {
            let _ = write!(html, "<li>{}</li>", escape(note));
        }
        html.push_str("</ul>");
    }
    html.push_str("<table><tr><th>figure</th>");
    for core in 0..metrics.cores.len() {
        let _ = write!(html, "<th>core {core}</th>");
    }
    html.push_str("<th></th></tr>");
    for (name, _, help, read) in COUNTERS {
        let _ = write!(html, "<tr><td>{name}</td>");
        for block in &metrics.cores {
            let _ = write!(html, "<td class=n>{}</td>", read(block));
        }
        let _ = write!(html, "<td>{help}</td></tr>");
    }
    for (name, help, read) in TIMES {
        for (index, share) in QUANTILES.iter().enumerate() {
            let _ = write!(html, "<tr><td>{name}, {share}</td>");
            for block in &metrics.cores {
                let _ = write!(html, "<td class=n>{:?}</td>", read(block).get(index));
            }
            let _ = write!(html, "<td>{help}</td></tr>");
        }
    }
    html.push_str("</table>");
    for (core, block) in metrics.cores.iter().enumerate() {
        let Ok(tables) = block.tables.lock() else { continue };
        for (title, table) in tables.iter() {
            let _ = write!(html, "<h2>Core {core}: {title}</h2><pre>{}</pre>", escape(table));
        }
    }
    html.push_str(FOOT);
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_see_the_page() {
        for host in
            ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.9.9.9:1", "[::1]:8080", "[::1]"]
        {
            assert!(is_loopback_name(host.as_bytes()), "{host}");
        }
        for host in ["", "example.org", "localhost.example.org", "10.0.0.1", "[::2]:80", "::1"] {
            assert!(!is_loopback_name(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn every_counter_is_on_the_page_and_in_the_text() {
        let metrics = Metrics::new(2);
        metrics.cores[1].requests.add(7);
        let (page, text) = (page(&metrics), exposition(&metrics));
        for (name, ..) in COUNTERS {
            assert!(page.contains(name) && text.contains(name), "{name}");
        }
        assert!(text.contains("demo_server_requests_total{core=\"1\"} 7"));
    }

    #[test]
    fn times_are_seconds_for_scrapers_and_have_units_for_people() {
        let metrics = Metrics::new(2);
        metrics.cores[1].queueing.set(|share| if share > 0.99 { 1_250_000 } else { 2_048 });
        let (page, text) = (page(&metrics), exposition(&metrics));
        for line in [
            "# TYPE demo_server_event_queueing_seconds gauge",
            "demo_server_event_queueing_seconds{core=\"1\",quantile=\"0.5\"} 0.000002048",
            "demo_server_event_queueing_seconds{core=\"1\",quantile=\"0.999\"} 0.00125",
            "demo_server_event_running_seconds{core=\"0\",quantile=\"0.99\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
        }
        assert!(page.contains("<td class=n>1.25ms</td>"), "{page}");
    }
}
