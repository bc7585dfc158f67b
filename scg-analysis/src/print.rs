//! An analysis for people: tables, and a graph in DOT.

use std::fmt::{self, Write};

use crate::Analysis;
use crate::facts::{SiteIx, StageIx};
use crate::stage::Edge;

impl Analysis {
    /// Stages and edges as a graph in DOT, timers dashed.
    pub fn dot(&self) -> String {
        let mut out = String::from("digraph scg {\n  node [shape=box, fontname=\"sans-serif\"];\n");
        for (i, (stage, life)) in self.stages.iter().zip(&self.lifetimes.stages).enumerate() {
            let (live, alloc) = (self.counted(&life.live), self.counted(&life.alloc));
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "  s{i} [label=\"{}\\nlive {live}\\nalloc {alloc}\"];",
                stage.name.replace('"', "\\\"")
            );
        }
        for from in 0..self.stages.len() {
            for (to, edge) in self.lifetimes.graph.next(from) {
                let style = match edge {
                    Edge::Event => "",
                    Edge::Timer => " [style=dashed, label=\"timer\"]",
                };
                let _ = writeln!(out, "  s{from} -> s{to}{style};");
            }
        }
        out.push_str("}\n");
        out
    }

    fn counted(&self, sites: &[(SiteIx, u32)]) -> String {
        if sites.is_empty() {
            return "-".to_owned();
        }
        let one = |&(site, n): &(SiteIx, u32)| match n {
            1 => self.sites[site].name.clone(),
            n => format!("{}*{n}", self.sites[site].name),
        };
        sites.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn names(&self, stages: &[StageIx]) -> String {
        stages.iter().map(|&s| self.stages[s].name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn next(&self, stage: StageIx) -> String {
        let mut names = Vec::new();
        for &(to, edge) in self.lifetimes.graph.next(stage) {
            let name = &self.stages[to].name;
            names.push(match edge {
                Edge::Event => name.clone(),
                Edge::Timer => format!("{name} (timer)"),
            });
        }
        if names.is_empty() { "-".to_owned() } else { names.join(", ") }
    }
}

impl fmt::Display for Analysis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![
            ["stage", "live before it", "allocates", "frees", "followed by"].map(str::to_owned),
        ];
        for (i, (stage, life)) in self.stages.iter().zip(&self.lifetimes.stages).enumerate() {
            let freed: Vec<(SiteIx, u32)> = life.freed.iter().map(|&s| (s, 1)).collect();
            rows.push([
                stage.name.clone(),
                self.counted(&life.live),
                self.counted(&life.alloc),
                self.counted(&freed),
                self.next(i),
            ]);
        }
        table(f, &rows)?;
        writeln!(f, "\ntasks begin in: {}", self.names(&self.lifetimes.ways_in))?;
        for component in self.lifetimes.graph.components() {
            if component.iter().any(|&s| self.lifetimes.graph.in_cycle(s)) {
                writeln!(f, "cycle: {}", self.names(&component))?;
            }
        }
        writeln!(f)?;
        let mut rows =
            vec![["site", "constant", "bytes", "declared", "never without"].map(str::to_owned)];
        for (i, site) in self.sites.iter().enumerate() {
            let above = self.lifetimes.dominates.iter().filter(|(_, j)| *j == i);
            let above: Vec<(SiteIx, u32)> = above.map(|&(above, _)| (above, 1)).collect();
            rows.push([
                site.name.clone(),
                site.constant.clone(),
                site.size.to_string(),
                site.place.to_string(),
                self.counted(&above),
            ]);
        }
        table(f, &rows)
    }
}

/// Left-aligned columns, two blanks apart.
fn table<const N: usize>(f: &mut fmt::Formatter<'_>, rows: &[[String; N]]) -> fmt::Result {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            write!(line, "{cell:<width$}  ")?;
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}
