//! The text of a map, byte for byte the same for the same map.

use std::fmt::{Display, Write};

use super::{GlobalKind, Section};

pub(super) fn text(sections: &[Section]) -> String {
    let mut text = String::from("scg-map 1\n");
    for section in sections {
        // Writing to a String cannot fail.
        let _ = write_section(&mut text, section);
    }
    let _ = writeln!(text, "end crc32={}", checksum(text.as_bytes()));
    text
}

/// CRC-32/ISO-HDLC as eight lower-case hexadecimal digits.
pub(super) fn checksum(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

fn write_section(out: &mut String, section: &Section) -> std::fmt::Result {
    let g = &section.geometry;
    writeln!(out, "geometry size={} ways={} line={} k={}", g.size, g.ways, g.line, g.k)?;
    let clusters = list(section.stack.clusters.iter());
    writeln!(out, "stack bytes={} clusters={clusters}", section.stack.bytes)?;
    for global in &section.globals {
        let kind = match global.kind {
            GlobalKind::Final => "final",
            GlobalKind::Temporary => "temporary",
        };
        writeln!(out, "global {} size={} kind={kind}", global.id, global.size)?;
    }
    for region in &section.regions {
        writeln!(out, "region {} slot={} slots={}", region.id.0, region.slot, region.slots)?;
    }
    for site in &section.sites {
        writeln!(
            out,
            "site {} name={} size={} align={} cap={} region={} guard={}",
            site.id.0,
            site.name,
            site.size,
            site.align,
            site.cap,
            site.region.0,
            if site.guard { "on" } else { "off" }
        )?;
    }
    for stage in &section.stages {
        let live = list(stage.live.iter().map(|site| site.0));
        let alloc = list(stage.alloc.iter().map(|(site, count)| format!("{}*{count}", site.0)));
        writeln!(
            out,
            "stage {} name={} live={live} alloc={alloc} weight={}",
            stage.id.0, stage.name, stage.weight
        )?;
    }
    for (above, below) in &section.dominates {
        writeln!(out, "dominates {} {}", above.0, below.0)?;
    }
    Ok(())
}

/// Items separated by commas, `-` for none.
fn list(items: impl Iterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.is_empty() { "-".to_owned() } else { items.join(",") }
}
