//! The tables of `docs/zoo.md`: what every network of the zoo counts, holds and moves.
//!
//! With `DERATE_BLESS` set the test writes the page instead.

use std::fmt::Write as _;
use std::path::Path;

use derate::zoo;
use derate_core::fusion::{INFERENCE, Link, Readers, fuse};
use derate_core::graph::Tables;
use derate_core::memory::{Buffer, lifetimes, schedule};
use derate_core::shape::DataType;

/// Bytes to whose multiples the tensors of an arena are aligned.
const ALIGNMENT: u32 = 64;

const HEAD: &str = "# The zoo in numbers

Every network of `derate`'s zoo at batch 1 in fp32, exact. The tables are written by

```sh
DERATE_BLESS=1 cargo test -p derate --test zoo_table
```

and without `DERATE_BLESS` the same test fails where they are not current. Counts are explained in the documentation of each op
(`core/src/op/`); `zoo:NAME` names a network on the command line, as in `derate graph stats zoo:resnet18 --fusion inference`.
";

const COUNTS: &str = "
## Counts

One MAC is two FLOPs; FLOPs also hold what is no MAC: biases, norms, activations, pooling, sums. Parameters are the learned values;
bytes of weights also hold the statistics of batch norms, which are not learned.

| network | input | ops | MACs | FLOPs | parameters | bytes of weights |
|---|---|--:|--:|--:|--:|--:|
";

const MEMORY: &str = "
## Memory, kernels and traffic

*Peak*: most bytes of activations that live at the same time, in the order of the network and in the best order that `derate` finds.
*Arena*: one block that holds them all in the best order, each tensor at a multiple of 64 bytes (`derate graph memory zoo:NAME --schedule
--align 64`). *Kernels*: what the ops become under the fusion policy `inference`. *Traffic*: bytes read and written when each op
runs alone, and when each kernel does; weights included, every operand once.

| network | peak | peak, best order | arena | kernels | traffic op by op | traffic fused |
|---|--:|--:|--:|--:|--:|--:|
";

/// A number with a comma before each three digits.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

type Rows = Result<(String, String), Box<dyn std::error::Error>>;

/// The network's row of both tables.
fn rows(name: &str) -> Rows {
    let graph = zoo::network(name, 1, DataType::Fp32)?;
    let view = graph.view();
    let work = view.total_work()?;
    let footprint = graph.footprint()?;
    let input = graph.sources().first().and_then(|(id, _)| view.tensors().get(id.index())).ok_or("no input")?;
    let counts = format!(
        "| {name} | {} | {} | {} | {} | {} | {} |\n",
        derate::export::extents(input.shape.extents()),
        view.nodes().len(),
        grouped(work.macs.0),
        grouped(work.flops.0),
        grouped(work.params),
        grouped(footprint.weights.0),
    );

    let (ops, tensors) = (view.nodes().len(), view.tensors().len());
    let (mut order, mut buffers) = (vec![0; ops], vec![Buffer::EMPTY; tensors]);
    let best = schedule(view, &mut order, &mut vec![0; 2 * ops], &mut buffers)?;
    let arena = lifetimes(view, Some(&order), &mut buffers)?.place(ALIGNMENT)?;

    let (mut readers, mut links) = (vec![Readers::NOBODY; tensors], vec![Link::FREE; ops]);
    let fused = fuse(view, &INFERENCE, &mut readers, &mut links)?;
    let (mut kernels, mut moved, mut alone) = (0, 0, 0);
    for kernel in fused.kernels() {
        kernels += 1;
        moved += kernel.work()?.compulsory_traffic()?.0;
    }
    for node in view.nodes() {
        alone += view.work(node)?.compulsory_traffic()?.0;
    }
    let memory = format!(
        "| {name} | {} | {} | {} | {kernels} | {} | {} |\n",
        grouped(footprint.peak_activations.0),
        grouped(best.0),
        grouped(arena.0),
        grouped(alone),
        grouped(moved),
    );
    Ok((counts, memory))
}

/// The whole page.
fn page() -> Result<String, Box<dyn std::error::Error>> {
    let (mut counts, mut memory) = (String::new(), String::new());
    for name in zoo::NETWORKS {
        let (count, held) = rows(name)?;
        counts.push_str(&count);
        memory.push_str(&held);
    }
    let mut page = String::new();
    write!(page, "{HEAD}{COUNTS}{counts}{MEMORY}{memory}")?;
    Ok(page)
}

#[test]
fn the_page_is_current() -> Result<(), Box<dyn std::error::Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/zoo.md");
    let page = page()?;
    if std::env::var_os("DERATE_BLESS").is_some() {
        std::fs::write(&path, page)?;
        return Ok(());
    }
    let committed = std::fs::read_to_string(&path)?;
    let line = (1..).zip(page.lines()).zip(committed.lines()).find(|((_, now), then)| now != then);
    if let Some(((number, now), then)) = line {
        panic!("docs/zoo.md:{number} is not current: set DERATE_BLESS to write it\nthere: {then}\n  now: {now}");
    }
    assert!(page == committed, "docs/zoo.md is not current: set DERATE_BLESS to write it");
    Ok(())
}

#[test]
fn digits_stand_in_threes() {
    let got = [0, 999, 1_000, 123_456, 15_470_264_320].map(grouped);
    assert_eq!(got, ["0", "999", "1,000", "123,456", "15,470,264,320"]);
}
