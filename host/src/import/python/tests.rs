//! Tests of the parser.

use super::{Expr, Statement, Target, expression, program};

fn text(expr: &Expr) -> String {
    let all = |items: &[Expr]| items.iter().map(text).collect::<Vec<_>>().join(" ");
    match expr {
        Expr::Name(name) => name.to_string(),
        Expr::Int(value) => value.to_string(),
        Expr::Float(value) => value.to_string(),
        Expr::Str(word) => format!("{word:?}"),
        Expr::Attribute(base, name) => format!("{}.{name}", text(base)),
        Expr::Call(callee, positional, named) => {
            let named: String = named.iter().map(|(name, value)| format!(" {name}={}", text(value))).collect();
            format!("{}({}{named})", text(callee), all(positional))
        }
        Expr::Index(base, index) => format!("{}[{}]", text(base), text(index)),
        Expr::List(items) => format!("[{}]", all(items)),
        Expr::Tuple(items) => format!("<{}>", all(items)),
        Expr::Dict(entries) => format!("{{{}}}", entries.len()),
        Expr::Unary(operator, inner) => format!("({operator} {})", text(inner)),
        Expr::Binary(operator, left, right) => format!("({} {operator} {})", text(left), text(right)),
        Expr::Choice(condition, then, otherwise) => {
            format!("({} ? {} : {})", text(condition), text(then), text(otherwise))
        }
    }
}

#[test]
fn expressions() {
    let cases = [
        ("(conv1).forward(x, )", "conv1.forward(x)"),
        ("torch.add(x, y, alpha=1)", "torch.add(x y alpha=1)"),
        ("1 + 2 * 3 ** 2", "(1 + (2 * (3 ** 2)))"),
        ("-x - -1", "((- x) - -1)"),
        ("a if b else c", "(b ? a : c)"),
        ("not a and b or c", "(((not a) and b) or c)"),
        ("a is not None", "(a is not None)"),
        ("(x)[0]", "x[0]"),
        ("(1,)", "<1>"),
        ("[1, 2., 1.0000000000000001e-05]", "[1 2 0.00001]"),
        ("annotate(List[Optional[Tensor]], [i])", "annotate(List[Optional[Tensor]] [i])"),
        ("\"a\\\"b\"", "\"a\\\"b\""),
    ];
    for (source, expected) in cases {
        assert_eq!(expression(source).map(|expr| text(&expr)), Ok(expected.to_owned()), "{source}");
    }
}

#[test]
fn a_class_with_a_method() -> Result<(), String> {
    let source = "\
class M(Module):
  __parameters__ = [\"weight\", ]
  weight : Tensor
  n : Final[int] = 3
  def forward(self: __torch__.M,
    x: Tensor,
    y: Optional[Tensor]=None) -> Tensor:
    # a comment
    a, b, = torch.chunk(x, 2)
    if torch.gt(b, 0):
      pass
    else:
      for i in range(3):
        a = b
    return a
";
    let statements = program(source).map_err(|error| format!("{error:?}"))?;
    let [Statement::Class(class)] = statements.as_slice() else { return Err(format!("{statements:?}")) };
    let Some(Statement::Def(forward)) = class.body.last() else { return Err("no method".into()) };
    assert_eq!(forward.parameters.len(), 3);
    assert_eq!(forward.parameters.last().and_then(|(_, default)| default.clone()), Some(Expr::Name("None".into())));
    let [Statement::Assign(Target::Several(targets), _), Statement::If(_, then, otherwise), Statement::Return(Some(_))] =
        forward.body.as_slice()
    else {
        return Err(format!("{:?}", forward.body));
    };
    assert_eq!((targets.len(), then.len(), otherwise.len()), (2, 1, 1));
    Ok(())
}

#[test]
fn what_is_no_program_is_an_error_with_its_line() {
    for (source, line) in
        [("a = 1\nb = ]\n", 2), ("def f(:\n  pass\n", 1), ("a = \"x\n", 1), ("if a:\n  b c\n", 2), ("$", 1)]
    {
        assert_eq!(program(source).err().map(|error| error.line), Some(line), "{source:?}");
    }
    for deep in
        ["(".repeat(10_000), "-".repeat(10_000), "[".repeat(10_000), "not ".repeat(10_000), "a.".repeat(10_000) + "a"]
    {
        assert!(expression(&deep).is_err());
    }
    let indented: String = (0..500).map(|level| format!("{}if a:\n", " ".repeat(level))).collect();
    assert!(program(&indented).is_err());
    let chained = format!("if a:\n  b\n{}", "elif a:\n  b\n".repeat(500));
    assert!(program(&chained).is_err());
}
