//! What patterns, conditions and arguments say about names.

use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, Pat};

/// Places that a condition finds empty: `x.is_none()`, alone or among others that must all hold.
pub(super) fn absent_places(condition: &Expr) -> Vec<&Expr> {
    match condition {
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => {
            let mut places = absent_places(&binary.left);
            places.extend(absent_places(&binary.right));
            places
        }
        Expr::MethodCall(call) if call.method == "is_none" => vec![&call.receiver],
        Expr::Paren(inner) => absent_places(&inner.expr),
        _ => Vec::new(),
    }
}

/// Whether a block assigns to one of these places.
pub(super) fn fills(block: &Block, places: &[&Expr]) -> bool {
    let mut search = Fills { places, found: false };
    search.visit_block(block);
    search.found
}

struct Fills<'p> {
    places: &'p [&'p Expr],
    found: bool,
}

impl<'ast> Visit<'ast> for Fills<'_> {
    fn visit_expr_assign(&mut self, node: &'ast syn::ExprAssign) {
        self.found |= self.places.contains(&&*node.left);
        visit::visit_expr_assign(self, node);
    }
}

/// Whether a pattern is `None`.
pub(super) fn is_none(pattern: &Pat) -> bool {
    match pattern {
        Pat::Ident(ident) => ident.ident == "None",
        Pat::Path(path) => path.path.segments.last().is_some_and(|s| s.ident == "None"),
        _ => false,
    }
}

/// Names that a pattern binds.
pub(super) fn bound_names(pattern: &Pat) -> Vec<String> {
    let mut bound = Bound::default();
    bound.visit_pat(pattern);
    bound.names
}

#[derive(Default)]
struct Bound {
    names: Vec<String>,
}

impl<'ast> Visit<'ast> for Bound {
    fn visit_pat_ident(&mut self, node: &'ast syn::PatIdent) {
        self.names.push(node.ident.to_string());
        visit::visit_pat_ident(self, node);
    }
}

/// Single names that an expression mentions.
pub(super) fn mentioned_names(expressions: &[&Expr]) -> Vec<String> {
    let mut mentioned = Mentioned::default();
    expressions.iter().for_each(|e| mentioned.visit_expr(e));
    mentioned.names
}

#[derive(Default)]
struct Mentioned {
    names: Vec<String>,
}

impl<'ast> Visit<'ast> for Mentioned {
    fn visit_expr_path(&mut self, node: &'ast syn::ExprPath) {
        if let Some(name) = node.path.get_ident() {
            self.names.push(name.to_string());
        }
    }
}
