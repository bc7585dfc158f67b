//! Macros are not expanded. Where the tokens of a call are expressions, they are read as such;
//! where they are not, nothing that matters may be hidden in them.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, Token};

/// What a macro call amounts to.
pub(super) enum Meaning {
    /// Its arguments are evaluated.
    Arguments(Vec<Expr>),
    /// Its arguments are compared: a stage named in them is not asked for.
    Compared(Vec<Expr>),
    /// Its arguments are evaluated, and then the path ends.
    Diverges(Vec<Expr>),
    /// It is not known what it does, but nothing that matters is named in it.
    Nothing,
    /// Something that matters is named in it: this.
    Hidden(String),
}

pub(super) fn meaning(mac: &syn::Macro) -> Meaning {
    let name = mac.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
    if name == "matches" {
        let first = |input: ParseStream<'_>| {
            let value: Expr = input.parse()?;
            input.parse::<TokenStream>()?;
            Ok(value)
        };
        if let Ok(value) = first.parse2(mac.tokens.clone()) {
            return Meaning::Arguments(vec![value]);
        }
    }
    let list = Punctuated::<Expr, Token![,]>::parse_terminated;
    let repeat = |input: ParseStream<'_>| {
        let value: Expr = input.parse()?;
        input.parse::<Token![;]>()?;
        Ok(vec![value, input.parse()?])
    };
    let arguments = match list.parse2(mac.tokens.clone()) {
        Ok(list) => list.into_iter().collect(),
        Err(_) => match repeat.parse2(mac.tokens.clone()) {
            Ok(pair) => pair,
            Err(_) => {
                return hidden(&mac.tokens).map_or(Meaning::Nothing, Meaning::Hidden);
            }
        },
    };
    match name.as_str() {
        "assert_eq" | "assert_ne" | "debug_assert_eq" | "debug_assert_ne" => {
            Meaning::Compared(arguments)
        }
        "panic" | "unreachable" | "todo" | "unimplemented" => Meaning::Diverges(arguments),
        _ => Meaning::Arguments(arguments),
    }
}

/// Looks for `.alloc(..)`, `.alloc_n(..)`, `.free(..)`, `.close(..)` and `Stage::` in tokens.
pub(super) fn hidden(tokens: &TokenStream) -> Option<String> {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    for (i, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Group(group) => {
                if let Some(what) = hidden(&group.stream()) {
                    return Some(what);
                }
            }
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                let is = |at: usize, c: char| matches!(trees.get(at), Some(TokenTree::Punct(p)) if p.as_char() == c);
                let called = matches!(trees.get(i + 1), Some(TokenTree::Group(g))
                    if g.delimiter() == Delimiter::Parenthesis);
                let matters = matches!(name.as_str(), "alloc" | "alloc_n" | "free" | "close");
                if matters && called && i > 0 && is(i - 1, '.') {
                    return Some(format!(".{name}(..)"));
                }
                if name == "Stage" && is(i + 1, ':') && is(i + 2, ':') {
                    return Some("Stage::".to_owned());
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    None
}

/// Names of the functions called in tokens that could not be read as expressions.
pub(super) fn called(tokens: &TokenStream, names: &mut Vec<String>) {
    let mut last = None;
    for tree in tokens.clone() {
        match tree {
            TokenTree::Group(group) => {
                if group.delimiter() == Delimiter::Parenthesis {
                    names.extend(last.take());
                }
                called(&group.stream(), names);
                last = None;
            }
            TokenTree::Ident(ident) => last = Some(ident.to_string()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => last = None,
        }
    }
}

pub(super) fn message(what: impl std::fmt::Display) -> String {
    format!("`{what}` is hidden in a macro that is not expanded; write it outside of the macro")
}
