//! Constant integer expressions: literals, `+ - * / % << >>`, parentheses, casts, other constants.

use std::collections::HashMap;

use syn::{BinOp, Expr, Lit};

/// Constants by name. A name that is declared twice with different values has none.
#[derive(Default)]
pub(super) struct Constants<'a> {
    by_name: HashMap<String, Option<&'a Expr>>,
}

/// Constants may refer to each other this many times in a row.
const DEPTH: u32 = 32;

impl<'a> Constants<'a> {
    pub(super) fn add(&mut self, name: String, value: &'a Expr) {
        self.by_name
            .entry(name)
            .and_modify(|known| {
                if *known != Some(value) {
                    *known = None;
                }
            })
            .or_insert(Some(value));
    }

    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.eval(self.by_name.get(name).copied().flatten()?, DEPTH)
    }

    /// The value of an expression, if it is constant and fits.
    pub(super) fn value(&self, expr: &Expr) -> Option<u64> {
        self.eval(expr, DEPTH)
    }

    fn eval(&self, expr: &Expr, depth: u32) -> Option<u64> {
        let depth = depth.checked_sub(1)?;
        match expr {
            Expr::Lit(lit) => match &lit.lit {
                Lit::Int(int) => int.base10_parse().ok(),
                _ => None,
            },
            Expr::Paren(paren) => self.eval(&paren.expr, depth),
            Expr::Group(group) => self.eval(&group.expr, depth),
            Expr::Cast(cast) => self.eval(&cast.expr, depth),
            Expr::Path(path) => {
                let name = path.path.segments.last()?.ident.to_string();
                self.eval(self.by_name.get(&name).copied().flatten()?, depth)
            }
            Expr::Binary(binary) => {
                let left = self.eval(&binary.left, depth)?;
                let right = self.eval(&binary.right, depth)?;
                let shift = u32::try_from(right).ok();
                match binary.op {
                    BinOp::Add(_) => left.checked_add(right),
                    BinOp::Sub(_) => left.checked_sub(right),
                    BinOp::Mul(_) => left.checked_mul(right),
                    BinOp::Div(_) => left.checked_div(right),
                    BinOp::Rem(_) => left.checked_rem(right),
                    BinOp::Shl(_) => {
                        let shifted = left.checked_shl(shift?)?;
                        (shifted >> shift? == left).then_some(shifted)
                    }
                    BinOp::Shr(_) => left.checked_shr(shift?),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}
