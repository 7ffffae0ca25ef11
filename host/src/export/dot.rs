//! Graphviz DOT: ops as boxes, kernels as clusters, colours by what bounds them.

use std::fmt::Write;

use super::drawing::{Colour, Drawing};

/// The drawing as a DOT document. Names are quoted and escaped, so that any name a file holds is valid.
#[must_use]
pub fn write(drawing: &Drawing) -> String {
    let mut dot = String::new();
    // Writing into a string does not fail.
    document(drawing, &mut dot).ok();
    dot
}

fn document(drawing: &Drawing, dot: &mut String) -> std::fmt::Result {
    writeln!(dot, "digraph {} {{", quoted(&drawing.title))?;
    writeln!(dot, "  label={}; labelloc=t; fontsize=20; fontname=\"Helvetica\"; rankdir=TB;", quoted(&drawing.title))?;
    writeln!(
        dot,
        "  node [shape=box, style=\"filled,rounded\", fillcolor=\"#ffffff\", fontname=\"Helvetica\", fontsize=11];"
    )?;
    writeln!(dot, "  edge [color=\"#505050\", arrowsize=0.7];")?;
    for (number, group) in drawing.groups.iter().enumerate() {
        writeln!(dot, "  subgraph cluster_kernel_{number} {{")?;
        let label = lines(&group.lines);
        writeln!(dot, "    label={label}; labeljust=l; fontsize=10; style=\"filled,rounded\"; color=\"#909090\";")?;
        writeln!(dot, "    fillcolor=\"{}\";", group.colour.unwrap_or(UNKNOWN))?;
        for (index, _) in drawing.boxes.iter().enumerate().filter(|(_, drawn)| drawn.group == Some(number)) {
            node(drawing, index, "    ", dot)?;
        }
        writeln!(dot, "  }}")?;
    }
    for (index, _) in drawing.boxes.iter().enumerate().filter(|(_, drawn)| drawn.group.is_none()) {
        node(drawing, index, "  ", dot)?;
    }
    for (from, to) in &drawing.arrows {
        writeln!(dot, "  n{from} -> n{to};")?;
    }
    if !drawing.legend.is_empty() {
        writeln!(dot, "  subgraph cluster_legend {{")?;
        writeln!(dot, "    label=\"Colours\"; fontsize=11; color=\"#909090\";")?;
        for (number, (text, colour)) in drawing.legend.iter().enumerate() {
            writeln!(dot, "    legend_{number} [label={}, fillcolor=\"{colour}\"];", quoted(text))?;
        }
        writeln!(dot, "  }}")?;
    }
    writeln!(dot, "}}")
}

/// Fill of a kernel whose bound is not asked for.
const UNKNOWN: Colour = Colour(0xf2_f2_f2);

fn node(drawing: &Drawing, index: usize, indent: &str, dot: &mut String) -> std::fmt::Result {
    let Some(drawn) = drawing.boxes.get(index) else { return Ok(()) };
    write!(dot, "{indent}n{index} [label={}", lines(&drawn.lines))?;
    if drawn.is_source {
        write!(dot, ", shape=ellipse, style=\"\"")?;
    } else if let (Some(colour), None) = (drawn.colour, drawn.group) {
        write!(dot, ", fillcolor=\"{colour}\"")?;
    }
    writeln!(dot, "];")
}

/// Lines of a label, each centred.
fn lines(lines: &[String]) -> String {
    format!("\"{}\"", lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("\\n"))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// Text inside quotes: quotes and backslashes escaped; control characters, which no label shows, become blanks.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::drawing::{Group, Tile};

    fn boxed(lines: &[&str], group: Option<usize>) -> Tile {
        Tile { lines: lines.iter().map(ToString::to_string).collect(), colour: None, group, is_source: false }
    }

    #[test]
    fn names_are_escaped_and_kernels_are_clusters() {
        let drawing = Drawing {
            title: "a \"net\"".to_owned(),
            boxes: vec![boxed(&["/x\\y\n{z}", "relu"], None), boxed(&["b"], Some(0))],
            groups: vec![Group { lines: vec!["conv".to_owned()], colour: Some(Colour(0xf7_c5_94)) }],
            arrows: vec![(0, 1)],
            legend: vec![("bound by L1".to_owned(), Colour(1))],
        };
        let dot = write(&drawing);
        for line in [
            r#"digraph "a \"net\"" {"#,
            r#"  n0 [label="/x\\y {z}\nrelu"];"#,
            "  subgraph cluster_kernel_0 {",
            r##"    fillcolor="#f7c594";"##,
            r#"    n1 [label="b"];"#,
            "  n0 -> n1;",
            r##"    legend_0 [label="bound by L1", fillcolor="#000001"];"##,
        ] {
            assert!(dot.lines().any(|written| written == line), "{line} is not in\n{dot}");
        }
    }
}
