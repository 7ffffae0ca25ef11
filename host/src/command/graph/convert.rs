//! `derate graph convert`: the graph in another form.

use anyhow::{Result, bail};

use super::show::drawing;
use super::{Outcome, deliver, read};
use crate::cli::{GraphConvert, GraphForm};
use crate::export::{dot, rust};
use crate::import::json;

pub(super) fn run(args: &GraphConvert) -> Result<Outcome> {
    let import = read(&args.source)?;
    if !import.unsupported.is_empty() {
        let count = import.unsupported.len();
        bail!(
            "{count} nodes of {} are not counted: what is written would not be that network",
            args.source.network.source
        );
    }
    let text = match args.to {
        GraphForm::Json => json::write(&import.graph),
        GraphForm::Rust => rust::write(&import.graph, &source_name(&args.source.network.source))?,
        GraphForm::Dot => dot::write(&drawing(&import.graph, None, None)?),
    };
    deliver(args.output.as_deref(), &text)?;
    Ok(Outcome::Done)
}

/// What a file says that it was written from: a description as it stands, of a file its name without its folders.
fn source_name(source: &str) -> String {
    let name = std::path::Path::new(source).file_name().filter(|_| std::path::Path::new(source).exists());
    name.map_or_else(|| source.to_owned(), |name| name.to_string_lossy().into_owned())
}
