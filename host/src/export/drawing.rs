//! What a drawing of a graph shows, before it is drawn: boxes with their text and colour, kernels around them, arrows.

use std::collections::{BTreeMap, BTreeSet};

use derate_core::Error;
use derate_core::estimate::OpEstimate;
use derate_core::fusion::{Fused, Kernel};
use derate_core::graph::{Node, Tables};
use derate_core::roofline::Bound;
use derate_core::tensor::TensorKind;
use derate_core::work::{Class, Work};

use super::{bytes, count, extents};
use crate::graph_buf::GraphBuf;

/// A graph as boxes and arrows.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// Name of the graph.
    pub title: String,
    /// Ops, and the tensors that no op computes.
    pub boxes: Vec<Tile>,
    /// Kernels of more than one op.
    pub groups: Vec<Group>,
    /// From box to box, each pair once.
    pub arrows: Vec<(usize, usize)>,
    /// What the colours mean; empty where there is none.
    pub legend: Vec<(String, Colour)>,
}

/// An op, a kernel, or a tensor that is given.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Its text, line by line.
    pub lines: Vec<String>,
    /// Fill, where it is known what bounds it.
    pub colour: Option<Colour>,
    /// The kernel it is in: an index into [`Drawing::groups`].
    pub group: Option<usize>,
    /// Whether it is an input or a stored tensor.
    pub is_source: bool,
}

/// A kernel around its ops.
#[derive(Clone, Debug)]
pub struct Group {
    /// Text in its corner, line by line; that of its box where it is drawn as one.
    pub lines: Vec<String>,
    /// Fill, where it is known what bounds it.
    pub colour: Option<Colour>,
}

/// A fill, as `#rrggbb`; light, so that black text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub u32);

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{:06x}", self.0)
    }
}

const COMPUTE: Colour = Colour(0xf7_c5_94);
const OVERHEAD: Colour = Colour(0xd9_d9_d9);
/// From the smallest level on, darker the further away it is; the last serves all beyond.
const LEVELS: [Colour; 5] =
    [Colour(0xdd_f1_e4), Colour(0xb5_e3_cf), Colour(0xa3_d1_ef), Colour(0x6f_b3_e0), Colour(0x9d_9b_e0)];

/// The colour of a bound.
#[must_use]
pub fn colour(bound: Bound) -> Colour {
    match bound {
        Bound::Compute => COMPUTE,
        Bound::Overhead => OVERHEAD,
        Bound::Memory(level) => {
            let [.., last] = LEVELS;
            LEVELS.get(usize::from(level)).copied().unwrap_or(last)
        }
    }
}

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The graph.
    pub graph: &'a GraphBuf,
    /// Its kernels; of a policy without rules each op is one.
    pub fused: Fused<'a>,
    /// The time of each kernel, in their order; none for a drawing without colours.
    pub estimates: Option<&'a [OpEstimate]>,
    /// Names of the memory levels, which the legend needs.
    pub levels: &'a [&'a str],
}

impl Drawing {
    /// Boxes and arrows of a graph.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 of anything.
    pub fn new(content: &Content<'_>) -> Result<Self, Error> {
        let view = content.graph.view();
        let mut drawing = Self {
            title: content.graph.name().to_owned(),
            boxes: Vec::new(),
            groups: Vec::new(),
            arrows: Vec::new(),
            legend: Vec::new(),
        };
        let used: BTreeSet<_> = view.nodes().iter().flat_map(|node| view.operands(node).ids()).copied().collect();
        // Box that gives each tensor.
        let mut origin = BTreeMap::new();
        for (id, name) in content.graph.sources() {
            let Some(tensor) = view.tensors().get(id.index()) else { continue };
            if tensor.kind.is_stored() && !used.contains(id) {
                continue;
            }
            let what = match tensor.kind {
                TensorKind::Parameter => "parameter",
                TensorKind::Constant => "constant",
                TensorKind::Input | TensorKind::Activation => "input",
            };
            let shape = format!("{what} {} {}", extents(tensor.shape.extents()), tensor.data_type.name());
            origin.insert(*id, drawing.boxes.len());
            drawing.boxes.push(Tile { lines: vec![name.clone(), shape], colour: None, group: None, is_source: true });
        }
        let first = drawing.boxes.len();
        for (node, name) in view.nodes().iter().zip(content.graph.names()) {
            let position = drawing.boxes.len();
            for id in view.outputs(node) {
                origin.insert(id, position);
            }
            let lines = vec![name.clone(), op_line(content.graph, node)?, work_line(&view.work(node)?)?];
            drawing.boxes.push(Tile { lines, colour: None, group: None, is_source: false });
            let arrows = view.operands(node).ids().iter().filter_map(|id| Some((*origin.get(id)?, position)));
            drawing.arrows.extend(arrows);
        }
        let mut estimates = content.estimates.into_iter().flatten();
        let mut shown = BTreeSet::new();
        for kernel in content.fused.kernels() {
            let estimate = estimates.next();
            let bound = estimate.filter(|estimate| estimate.work.class != Class::View).map(|estimate| estimate.bound);
            shown.extend(bound.map(rank));
            drawing.kernel(content, &kernel, first, bound.map(colour))?;
        }
        let mut seen = BTreeSet::new();
        drawing.arrows.retain(|&arrow| arrow.0 != arrow.1 && seen.insert(arrow));
        drawing.legend = shown.into_iter().map(|rank| key(rank, content.levels)).collect();
        Ok(drawing)
    }

    /// Puts a kernel around its boxes, or colours its one box.
    fn kernel(
        &mut self,
        content: &Content<'_>,
        kernel: &Kernel<'_>,
        first: usize,
        fill: Option<Colour>,
    ) -> Result<(), Error> {
        let members: Vec<usize> = members(kernel);
        let group = if let [_] = members[..] {
            None
        } else {
            let lines = kernel_lines(content.graph, kernel, &members)?;
            self.groups.push(Group { lines, colour: fill });
            Some(self.groups.len() - 1)
        };
        for member in members {
            if let Some(drawn) = self.boxes.get_mut(first + member) {
                drawn.group = group;
                drawn.colour = fill;
            }
        }
        Ok(())
    }

    /// The same with each kernel as one box.
    #[must_use]
    pub fn collapsed(self) -> Self {
        let Self { title, boxes, groups, arrows, legend } = self;
        let mut merged: Vec<Tile> = Vec::new();
        let mut of_group: BTreeMap<usize, usize> = BTreeMap::new();
        let mut place = Vec::new();
        for drawn in boxes {
            let group = drawn.group.and_then(|number| Some((number, groups.get(number)?)));
            let position = match group {
                Some((number, group)) => *of_group.entry(number).or_insert_with(|| {
                    merged.push(Tile { lines: group.lines.clone(), group: None, ..drawn });
                    merged.len() - 1
                }),
                None => {
                    merged.push(drawn);
                    merged.len() - 1
                }
            };
            place.push(position);
        }
        let mut seen = BTreeSet::new();
        let arrows = arrows
            .into_iter()
            .filter_map(|(from, to)| Some((*place.get(from)?, *place.get(to)?)))
            .filter(|&arrow| arrow.0 != arrow.1 && seen.insert(arrow))
            .collect();
        Self { title, boxes: merged, groups: Vec::new(), arrows, legend }
    }
}

/// Numbers of a kernel's nodes, first to last.
#[must_use]
pub fn members(kernel: &Kernel<'_>) -> Vec<usize> {
    let mut members: Vec<usize> = kernel.nodes().filter_map(|number| usize::try_from(number).ok()).collect();
    members.reverse();
    members
}

/// Order of the bounds in the legend.
fn rank(bound: Bound) -> u16 {
    match bound {
        Bound::Compute => 0,
        Bound::Memory(level) => 1 + u16::from(level),
        Bound::Overhead => u16::MAX,
    }
}

fn key(rank: u16, levels: &[&str]) -> (String, Colour) {
    match rank {
        0 => ("bound by compute".to_owned(), COMPUTE),
        u16::MAX => ("bound by overhead".to_owned(), OVERHEAD),
        _ => {
            let level = u8::try_from(rank - 1).unwrap_or(u8::MAX);
            let name = levels.get(usize::from(level)).copied().unwrap_or("memory");
            (format!("bound by {name}"), colour(Bound::Memory(level)))
        }
    }
}

/// Op and output: `conv2d → 1×64×112×112`.
fn op_line(graph: &GraphBuf, node: &Node) -> Result<String, Error> {
    let output = graph.view().output(node)?;
    Ok(format!("{} → {}", node.op.name(), extents(output.shape.extents())))
}

/// MACs, and bytes that are moved.
fn work_line(work: &Work) -> Result<String, Error> {
    let moved = bytes(work.compulsory_traffic()?.0);
    Ok(match (work.macs.0, work.class) {
        (0, Class::View) => "view".to_owned(),
        (0, _) => moved,
        (macs, _) => format!("{} MAC, {moved}", count(macs)),
    })
}

fn kernel_lines(graph: &GraphBuf, kernel: &Kernel<'_>, members: &[usize]) -> Result<Vec<String>, Error> {
    let name = |index: usize| graph.names().get(index).map_or("", String::as_str);
    let (first, last) =
        (members.first().map_or("", |&index| name(index)), members.last().map_or("", |&index| name(index)));
    let rule = kernel.rule().map_or("", |rule| rule.name);
    let ops = members.iter().filter_map(|&index| graph.view().nodes().get(index)).map(|node| node.op.name());
    let output = kernel.last().map(|node| graph.view().output(node)).transpose()?;
    let shape = output.map_or(String::new(), |tensor| format!(" → {}", extents(tensor.shape.extents())));
    Ok(vec![
        format!("{first} … {last}"),
        format!("{rule}: {}{shape}", ops.collect::<Vec<_>>().join(" + ")),
        work_line(&kernel.work()?)?,
    ])
}
