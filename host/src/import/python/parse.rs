//! From tokens to statements, by recursive descent of limited depth.

use std::rc::Rc;

use super::token::{Token, tokens};
use super::{Class, Expr, Function, Statement, SyntaxError, Target};

/// Most expressions or blocks within each other.
const MAX_DEPTH: usize = 100;
/// Most links of a chain such as `a.b.c` or `a + b + c`.
const MAX_CHAIN: usize = 1000;

/// Binary operators, loosest first; each line binds alike.
const LEVELS: [&[&str]; 9] = [
    &["or"],
    &["and"],
    &["==", "!=", "<=", ">=", "<", ">", "is", "in"],
    &["|"],
    &["^"],
    &["&"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "//", "/", "%", "@"],
];

/// The statements of a file.
pub(crate) fn program(text: &str) -> Result<Vec<Statement>, SyntaxError> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let mut statements = Vec::new();
    while parser.peek() != &Token::End {
        parser.statement(&mut statements)?;
    }
    Ok(statements)
}

/// One expression.
pub(crate) fn expression(text: &str) -> Result<Expr, SyntaxError> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let expr = parser.expr()?;
    parser.skip(&Token::NewLine);
    if parser.peek() == &Token::End { Ok(expr) } else { Err(parser.unexpected("the end")) }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = self.at.saturating_add(1);
        token
    }

    fn skip(&mut self, token: &Token) -> bool {
        let found = self.peek() == token;
        self.at = self.at.saturating_add(usize::from(found));
        found
    }

    fn sign(&mut self, sign: &'static str) -> bool {
        self.skip(&Token::Sign(sign))
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Name(name) if **name == *word);
        self.at = self.at.saturating_add(usize::from(found));
        found
    }

    fn error(&self, message: String) -> SyntaxError {
        SyntaxError { line: self.tokens.get(self.at).map_or(0, |(_, line)| *line), message }
    }

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        self.error(format!("{:?} where {wanted} is expected", self.peek()))
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), SyntaxError> {
        if self.sign(sign) { Ok(()) } else { Err(self.unexpected(sign)) }
    }

    fn name(&mut self) -> Result<Rc<str>, SyntaxError> {
        match self.next() {
            Token::Name(name) => Ok(name),
            _ => {
                self.at = self.at.saturating_sub(1);
                Err(self.unexpected("a name"))
            }
        }
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, SyntaxError>) -> Result<T, SyntaxError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(format!("more than {MAX_DEPTH} levels within each other")));
        }
        self.depth = self.depth.saturating_add(1);
        let result = inner(self);
        self.depth = self.depth.saturating_sub(1);
        result
    }

    fn block(&mut self) -> Result<Vec<Statement>, SyntaxError> {
        self.expect(":")?;
        let mut statements = Vec::new();
        if !self.skip(&Token::NewLine) {
            self.nested(|parser| parser.statement(&mut statements))?;
            return Ok(statements);
        }
        if !self.skip(&Token::Indent) {
            // A body of comments only.
            return Ok(statements);
        }
        while !self.skip(&Token::Dedent) {
            if self.peek() == &Token::End {
                return Err(self.unexpected("a statement"));
            }
            self.nested(|parser| parser.statement(&mut statements))?;
        }
        Ok(statements)
    }

    fn statement(&mut self, into: &mut Vec<Statement>) -> Result<(), SyntaxError> {
        let statement = if self.keyword("def") {
            Statement::Def(Rc::new(self.function()?))
        } else if self.keyword("class") {
            Statement::Class(self.class()?)
        } else if self.keyword("if") {
            self.condition()?
        } else if self.keyword("while") {
            let condition = self.expr()?;
            Statement::While(condition, self.block()?)
        } else if self.keyword("for") {
            let name = self.name()?;
            if !self.keyword("in") {
                return Err(self.unexpected("in"));
            }
            let values = self.expr()?;
            Statement::For(name, values, self.block()?)
        } else {
            let statement = self.simple()?;
            if self.peek() != &Token::End && !self.skip(&Token::NewLine) {
                return Err(self.unexpected("the end of the line"));
            }
            statement
        };
        into.push(statement);
        Ok(())
    }

    fn condition(&mut self) -> Result<Statement, SyntaxError> {
        let condition = self.expr()?;
        let then = self.block()?;
        let otherwise = if self.keyword("elif") {
            vec![self.nested(Self::condition)?]
        } else if self.keyword("else") {
            self.block()?
        } else {
            Vec::new()
        };
        Ok(Statement::If(condition, then, otherwise))
    }

    fn function(&mut self) -> Result<Function, SyntaxError> {
        let name = self.name()?;
        self.expect("(")?;
        let mut parameters = Vec::new();
        while !self.sign(")") {
            if self.sign("*") && self.sign(",") {
                continue;
            }
            let parameter = self.name()?;
            if self.sign(":") {
                self.expr()?;
            }
            let default = if self.sign("=") { Some(self.expr()?) } else { None };
            parameters.push((parameter, default));
            if !self.sign(",") && self.peek() != &Token::Sign(")") {
                return Err(self.unexpected(")"));
            }
        }
        if self.sign("->") {
            self.expr()?;
        }
        Ok(Function { name, parameters, body: self.block()? })
    }

    fn class(&mut self) -> Result<Class, SyntaxError> {
        let name = self.name()?;
        let mut base = None;
        if self.sign("(") {
            while !self.sign(")") {
                let named = self.expr()?;
                if let (Expr::Name(named), None) = (named, &base) {
                    base = Some(named);
                }
                if !self.sign(",") && self.peek() != &Token::Sign(")") {
                    return Err(self.unexpected(")"));
                }
            }
        }
        Ok(Class { name, base, body: self.block()? })
    }

    fn simple(&mut self) -> Result<Statement, SyntaxError> {
        if self.keyword("pass") || self.keyword("import") || self.keyword("from") {
            while !matches!(self.peek(), Token::NewLine | Token::End) {
                self.next();
            }
            return Ok(Statement::Nothing);
        }
        if self.keyword("return") {
            let empty = matches!(self.peek(), Token::NewLine | Token::End);
            return Ok(Statement::Return(if empty { None } else { Some(self.tuple()?) }));
        }
        let value = self.tuple_of_targets()?;
        if self.sign(":") {
            self.expr()?;
            let Target::One(target) = value else { return Err(self.unexpected("a name")) };
            let initial = if self.sign("=") { Some(self.tuple()?) } else { None };
            return Ok(match (target, initial) {
                (Expr::Name(name), initial) => Statement::Declare(name, initial),
                (_, Some(initial)) => Statement::Expr(initial),
                _ => Statement::Nothing,
            });
        }
        if self.sign("=") {
            return Ok(Statement::Assign(value, self.tuple()?));
        }
        Ok(Statement::Expr(match value {
            Target::One(expr) => expr,
            Target::Several(items) => Expr::Tuple(items),
        }))
    }

    /// Expressions with commas between them, as targets or as a tuple.
    fn tuple_of_targets(&mut self) -> Result<Target, SyntaxError> {
        let first = self.expr()?;
        if self.peek() != &Token::Sign(",") {
            return Ok(Target::One(first));
        }
        let mut items = vec![first];
        while self.sign(",") {
            if matches!(self.peek(), Token::Sign("=") | Token::NewLine | Token::End) {
                break;
            }
            items.push(self.expr()?);
        }
        Ok(Target::Several(items))
    }

    fn tuple(&mut self) -> Result<Expr, SyntaxError> {
        Ok(match self.tuple_of_targets()? {
            Target::One(expr) => expr,
            Target::Several(items) => Expr::Tuple(items),
        })
    }

    fn expr(&mut self) -> Result<Expr, SyntaxError> {
        self.nested(|parser| {
            let then = parser.binary(0)?;
            if !parser.keyword("if") {
                return Ok(then);
            }
            let condition = parser.binary(0)?;
            if !parser.keyword("else") {
                return Err(parser.unexpected("else"));
            }
            let otherwise = parser.expr()?;
            Ok(Expr::Choice(Box::new(condition), Box::new(then), Box::new(otherwise)))
        })
    }

    /// The operator that follows, and how tightly it binds.
    fn operator(&self) -> Option<(&'static str, usize)> {
        let word = match self.peek() {
            Token::Sign(sign) => sign,
            Token::Name(name) => &**name,
            _ => return None,
        };
        let levels = LEVELS.iter().zip(0..);
        levels
            .flat_map(|(level, at)| level.iter().map(move |operator| (*operator, at)))
            .find(|(operator, _)| *operator == word)
    }

    /// An expression of operators that bind at least so tightly.
    fn binary(&mut self, least: usize) -> Result<Expr, SyntaxError> {
        let mut left = self.unary()?;
        let mut links = 0_usize;
        while let Some((mut operator, level)) = self.operator().filter(|(_, level)| *level >= least) {
            self.at = self.at.saturating_add(1);
            if operator == "is" && self.keyword("not") {
                operator = "is not";
            }
            let right = self.nested(|parser| parser.binary(level.saturating_add(1)))?;
            left = Expr::Binary(operator, Box::new(left), Box::new(right));
            self.link(&mut links)?;
        }
        Ok(left)
    }

    fn link(&self, links: &mut usize) -> Result<(), SyntaxError> {
        *links = links.saturating_add(1);
        if *links > MAX_CHAIN { Err(self.error(format!("a chain of more than {MAX_CHAIN} links"))) } else { Ok(()) }
    }

    fn unary(&mut self) -> Result<Expr, SyntaxError> {
        for sign in ["-", "+", "~"] {
            if self.sign(sign) {
                let inner = self.nested(Self::unary)?;
                return Ok(match (sign, inner) {
                    ("-", Expr::Int(value)) => Expr::Int(value.saturating_neg()),
                    ("-", Expr::Float(value)) => Expr::Float(-value),
                    (sign, inner) => Expr::Unary(sign, Box::new(inner)),
                });
            }
        }
        if self.keyword("not") {
            // Looser than comparisons, which are level 2.
            return Ok(Expr::Unary("not", Box::new(self.nested(|parser| parser.binary(2))?)));
        }
        let base = self.postfix()?;
        if self.sign("**") {
            let power = self.nested(Self::unary)?;
            return Ok(Expr::Binary("**", Box::new(base), Box::new(power)));
        }
        Ok(base)
    }

    fn postfix(&mut self) -> Result<Expr, SyntaxError> {
        let mut expr = self.atom()?;
        let mut links = 0;
        loop {
            if self.sign(".") {
                expr = Expr::Attribute(Box::new(expr), self.name()?);
            } else if self.sign("(") {
                let (positional, named) = self.arguments()?;
                expr = Expr::Call(Box::new(expr), positional, named);
            } else if self.sign("[") {
                let index = self.tuple()?;
                self.expect("]")?;
                expr = Expr::Index(Box::new(expr), Box::new(index));
            } else {
                return Ok(expr);
            }
            self.link(&mut links)?;
        }
    }

    #[allow(clippy::type_complexity, reason = "positional and named arguments, used once")]
    fn arguments(&mut self) -> Result<(Vec<Expr>, Vec<(Rc<str>, Expr)>), SyntaxError> {
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        while !self.sign(")") {
            let expr = self.expr()?;
            match expr {
                Expr::Name(name) if self.sign("=") => named.push((name, self.expr()?)),
                expr => positional.push(expr),
            }
            if !self.sign(",") && self.peek() != &Token::Sign(")") {
                return Err(self.unexpected(")"));
            }
        }
        Ok((positional, named))
    }

    /// Expressions up to a closing bracket, and whether a comma stands after the last.
    fn items(&mut self, close: &'static str) -> Result<(Vec<Expr>, bool), SyntaxError> {
        let mut items = Vec::new();
        let mut comma = false;
        while !self.sign(close) {
            items.push(self.expr()?);
            comma = self.sign(",");
            if !comma && self.peek() != &Token::Sign(close) {
                return Err(self.unexpected(close));
            }
        }
        Ok((items, comma))
    }

    fn atom(&mut self) -> Result<Expr, SyntaxError> {
        Ok(match self.next() {
            Token::Name(name) => Expr::Name(name),
            Token::Int(value) => Expr::Int(value),
            Token::Float(value) => Expr::Float(value),
            Token::Str(word) => Expr::Str(word),
            Token::Sign("(") => {
                let (mut items, comma) = self.items(")")?;
                match items.pop() {
                    Some(only) if items.is_empty() && !comma => only,
                    last => {
                        items.extend(last);
                        Expr::Tuple(items)
                    }
                }
            }
            Token::Sign("[") => Expr::List(self.items("]")?.0),
            Token::Sign("{") => {
                let mut entries = Vec::new();
                while !self.sign("}") {
                    let key = self.expr()?;
                    self.expect(":")?;
                    entries.push((key, self.expr()?));
                    if !self.sign(",") && self.peek() != &Token::Sign("}") {
                        return Err(self.unexpected("}"));
                    }
                }
                Expr::Dict(entries)
            }
            _ => {
                self.at = self.at.saturating_sub(1);
                return Err(self.unexpected("an expression"));
            }
        })
    }
}
