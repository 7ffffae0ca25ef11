//! Tokens of the text, with indentation as tokens.

use std::rc::Rc;

use super::SyntaxError;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(Rc<str>),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
    /// An operator or bracket.
    Sign(&'static str),
    NewLine,
    Indent,
    Dedent,
    End,
}

/// Signs, longest first.
const SIGNS: [&str; 36] = [
    "**=", "//=", "->", "**", "//", "==", "!=", "<=", ">=", "<<", ">>", "+=", "-=", "*=", "/=", "(", ")", "[", "]",
    "{", "}", ",", ":", ".", "=", "+", "-", "*", "/", "%", "<", ">", "@", "&", "|", "^",
];

/// Most tokens of a text: a call in the code of a network has some thirty.
const MAX_TOKENS: usize = 3_000_000;

/// Most levels of indentation.
const MAX_INDENT: usize = 100;

/// Tokens of `text`, each with its line.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut indents = vec![0_usize];
    let mut open = 0_usize;
    let mut rest = text;
    let mut line = 1;
    let mut at_start = true;
    loop {
        let fail = |message: String| SyntaxError { line, message };
        if tokens.len() > MAX_TOKENS {
            return Err(fail(format!("more than {MAX_TOKENS} words and signs")));
        }
        if at_start && open == 0 {
            let indent = rest.len().saturating_sub(rest.trim_start_matches(' ').len());
            let body = rest.trim_start_matches(' ');
            if !(body.is_empty() || body.starts_with(['\n', '\r', '#'])) {
                let mut level = indents.last().copied().unwrap_or(0);
                if indent > level {
                    if indents.len() > MAX_INDENT {
                        return Err(fail(format!("more than {MAX_INDENT} levels of indentation")));
                    }
                    indents.push(indent);
                    tokens.push((Token::Indent, line));
                }
                while indent < level {
                    indents.pop();
                    tokens.push((Token::Dedent, line));
                    level = indents.last().copied().unwrap_or(0);
                }
            }
            at_start = false;
        }
        rest = rest.trim_start_matches([' ', '\t', '\r']);
        let Some(first) = rest.chars().next() else { break };
        if first == '#' {
            rest = rest.find('\n').and_then(|end| rest.get(end..)).unwrap_or("");
        } else if first == '\n' {
            if open == 0 && !matches!(tokens.last(), None | Some((Token::NewLine | Token::Indent | Token::Dedent, _))) {
                tokens.push((Token::NewLine, line));
            }
            line = line.saturating_add(1);
            at_start = open == 0;
            rest = rest.get(1..).unwrap_or("");
        } else if first == '\\' && rest.starts_with("\\\n") {
            line = line.saturating_add(1);
            rest = rest.get(2..).unwrap_or("");
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            tokens.push((Token::Name(name.into()), line));
            rest = after;
        } else if first.is_ascii_digit() || first == '.' && rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) {
            let (token, after) = number(rest).map_err(fail)?;
            tokens.push((token, line));
            rest = after;
        } else if first == '"' || first == '\'' {
            let (word, after) = string(rest, first).map_err(fail)?;
            line = line.saturating_add(
                rest.len()
                    .checked_sub(after.len())
                    .map_or(0, |len| rest.get(..len).unwrap_or("").matches('\n').count()),
            );
            tokens.push((Token::Str(word.into()), line));
            rest = after;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            match *sign {
                "(" | "[" | "{" => open = open.saturating_add(1),
                ")" | "]" | "}" => open = open.saturating_sub(1),
                _ => {}
            }
            tokens.push((Token::Sign(sign), line));
            rest = rest.get(sign.len()..).unwrap_or("");
        } else if first == '~' {
            tokens.push((Token::Sign("~"), line));
            rest = rest.get(1..).unwrap_or("");
        } else {
            return Err(fail(format!("unexpected {first:?}")));
        }
    }
    if !matches!(tokens.last(), None | Some((Token::NewLine | Token::Indent | Token::Dedent, _))) {
        tokens.push((Token::NewLine, line));
    }
    tokens.extend(indents.iter().skip(1).map(|_| (Token::Dedent, line)));
    tokens.push((Token::End, line));
    Ok(tokens)
}

fn number(text: &str) -> Result<(Token, &str), String> {
    let bytes = text.as_bytes();
    let mut end = 0;
    let mut real = false;
    while let Some(&byte) = bytes.get(end) {
        let exponent = matches!(byte, b'e' | b'E');
        let sign =
            matches!(byte, b'+' | b'-') && matches!(end.checked_sub(1).and_then(|at| bytes.get(at)), Some(b'e' | b'E'));
        if !(byte.is_ascii_digit() || byte == b'.' || exponent || sign) {
            break;
        }
        real |= byte == b'.' || exponent;
        end = end.saturating_add(1);
    }
    let (digits, rest) = text.split_at(end);
    let token = match digits.parse::<i64>() {
        Ok(value) if !real => Token::Int(value),
        _ => Token::Float(digits.parse::<f64>().map_err(|_| format!("{digits:?} is no number"))?),
    };
    Ok((token, rest))
}

fn string(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut word = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => match letters.next().map(|(_, escaped)| escaped) {
                Some('n') => word.push('\n'),
                Some('t') => word.push('\t'),
                // Other escapes stand for letters that no name has: the letter after the backslash is enough.
                Some(escaped) => word.push(escaped),
                None => break,
            },
            letter if letter == quote => return Ok((word, text.get(at.saturating_add(1)..).unwrap_or(""))),
            letter => word.push(letter),
        }
    }
    Err("a string without an end".to_owned())
}
