//! Reading of Rust sources as text, for the tidy tests: enough for this repository's own, `rustfmt`-formatted code.

use std::fs;
use std::path::{Path, PathBuf};

/// Files below a folder whose names end in `.extension`, or all for an empty one, in order; what a build or git keeps is left out.
///
/// # Panics
/// Where the folder cannot be read, which fails the test that asks.
#[must_use]
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !["target", "results", ".git"].contains(&name) {
                found.extend(files(&path, extension));
            }
        } else if extension.is_empty() || path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

/// The lines of a source without comments.
#[must_use]
pub fn code(source: &str) -> String {
    source
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Code without the items under `#[cfg(test)]`: to the end of their braces, or to the semicolon where they have none.
#[must_use]
pub fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let mut depth = 0_usize;
        let end = after.char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            (depth == 0 && (c == '}' || c == ';')).then_some(at + 1)
        });
        rest = &after[end.unwrap_or(after.len())..];
    }
    kept + rest
}

/// A public function, or one of a public trait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// The type of its `impl`; none for a free function or one of a trait.
    owner: Option<String>,
    name: String,
    /// Whether it takes `self`.
    method: bool,
}

impl Function {
    /// Its name, with that of its type.
    #[must_use]
    pub fn name(&self) -> String {
        self.owner.as_ref().map_or_else(|| self.name.clone(), |owner| format!("{owner}::{}", self.name))
    }

    /// Whether code calls it: `Type::name(`, `.name(` for a method, `name(` for one without a type.
    #[must_use]
    pub fn called_in(&self, code: &str) -> bool {
        let call = format!("{}(", self.name);
        match &self.owner {
            _ if self.method => code.contains(&format!(".{call}")),
            // `Graph::<8, 16>::new(` names the type too.
            Some(owner) => code.match_indices(&format!("::{call}")).any(|(at, _)| {
                let before = &code[..at];
                let before =
                    before.strip_suffix('>').and_then(|path| path.rsplit_once("::<")).map_or(before, |path| path.0);
                before.strip_suffix(owner.as_str()).is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric()))
            }),
            None => code
                .match_indices(&call)
                .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')),
        }
    }
}

/// What encloses a line.
struct Block {
    /// Indentation at which it closes.
    indent: usize,
    /// Types of the `impl`.
    owners: Vec<String>,
    is_public_trait: bool,
}

/// The public functions of code without comments and tests; one that a macro writes for several types is there for each of them.
#[must_use]
pub fn public_functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    let mut last_macro = String::new();
    let lines: Vec<&str> = code.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if open.as_ref().is_some_and(|block| block.indent == indent && trimmed.starts_with('}')) {
            open = None;
        }
        if let Some(rest) = trimmed.strip_prefix("macro_rules! ") {
            last_macro = identifier(rest);
        } else if trimmed.starts_with("impl") && !trimmed.contains(" for ") && trimmed.ends_with('{') {
            let owners = owner(trimmed).map_or_else(|| macro_types(code, &last_macro), |owner| vec![owner]);
            open = Some(Block { indent, owners, is_public_trait: false });
        } else if trimmed.starts_with("pub trait") {
            open = Some(Block { indent, owners: Vec::new(), is_public_trait: true });
        }

        let signature = match trimmed.strip_prefix("pub ") {
            Some(rest) => rest.trim_start_matches("const "),
            None if open.as_ref().is_some_and(|block| block.is_public_trait) => trimmed,
            None => continue,
        };
        let Some(rest) = signature.strip_prefix("fn ") else { continue };
        let name = identifier(rest);
        let method = takes_self(&lines[number..].join(" "), &name);
        match open.as_ref().map(|block| &block.owners[..]) {
            None | Some([]) => found.push(Function { owner: None, name, method }),
            Some(owners) => found.extend(owners.iter().map(|owner| {
                let owner = Some(owner.clone());
                Function { owner, name: name.clone(), method }
            })),
        }
    }
    found
}

/// Names of the variants of a public enum, each with one value in parentheses or none, in code without comments.
#[must_use]
pub fn variants(code: &str, name: &str) -> Vec<String> {
    let body = code.split_once(&format!("pub enum {name} {{")).and_then(|(_, rest)| rest.split_once("\n}"));
    let lines = body.map_or("", |(body, _)| body).lines().map(str::trim);
    lines.filter(|line| line.starts_with(char::is_uppercase)).map(identifier).collect()
}

/// Whether the first parameter of the function is `self`; its signature may go over several lines.
fn takes_self(code: &str, name: &str) -> bool {
    let parameters = code.split_once(&format!("fn {name}")).and_then(|(_, rest)| rest.split_once('('));
    let first: String = parameters.map_or("", |(_, rest)| rest).chars().take_while(|c| !",):".contains(*c)).collect();
    first.split_whitespace().last().is_some_and(|word| word.trim_start_matches('&') == "self")
}

/// The name at the start of a text.
fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first argument of each call of a macro: the type that it writes.
fn macro_types(code: &str, name: &str) -> Vec<String> {
    code.split(&format!("\n{name}!(")).skip(1).map(identifier).collect()
}

/// The type of an `impl` line; `None` where a macro puts it in.
fn owner(line: &str) -> Option<String> {
    let rest = line.strip_prefix("impl")?;
    // `impl<'a, const N: usize> Graph<N> {`: after the parameters, up to the type's own.
    let rest = if let Some(generic) = rest.strip_prefix('<') { generic.split_once("> ")?.1 } else { rest };
    Some(identifier(rest)).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
impl<'a, const N: usize> Graph<'a, N> {
    pub const fn new() -> Self {} // pub fn none(
    pub fn view(
        &mut self,
    ) {}
    fn private(&self) {}
    pub(crate) fn inner() {}
}
impl Tables for Graph {
    fn reserve(&self) {}
}
pub trait Build {
    fn input(&mut self) {}
}
pub fn free(x: u32) {}
#[cfg(test)]
mod tests {
    pub fn test() { if true {} }
}
macro_rules! unit {
    ($name:ident) => {
        impl $name {
            pub const fn zero() -> Self {}
        }
    };
}
unit!(
    Volt
);
unit!(Ampere);
";

    #[test]
    fn public_functions_are_found_with_their_types() {
        let names: Vec<String> = public_functions(&without_tests(&code(SOURCE))).iter().map(Function::name).collect();
        assert_eq!(names, ["Graph::new", "Graph::view", "input", "free", "Volt::zero", "Ampere::zero"]);
    }

    #[test]
    fn a_call_is_told_from_another_types() {
        let functions = public_functions(&without_tests(&code(SOURCE)));
        let called = |code: &str| functions.iter().map(|function| function.called_in(code)).collect::<Vec<_>>();
        assert_eq!(called("Graph::<8, 16>::new(); graph.view()"), [true, true, false, false, false, false]);
        assert_eq!(called("SubGraph::new(); view(); x.input(y); free(1)"), [false, false, true, true, false, false]);
        assert_eq!(called("Graph::new(); carefree(1); Ampere::zero()"), [true, false, false, false, false, true]);
    }
}
