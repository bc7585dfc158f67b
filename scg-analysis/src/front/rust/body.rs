//! A function's body becomes operations, in the order in which they run.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, ExprMethodCall, Pat, RangeLimits};

use super::items::FunctionItem;
use super::macros::{self, Meaning};
use super::names::Names;
use super::patterns::{absent_places, bound_names, fills, is_none, mentioned_names};
use super::place;
use crate::facts::{Block, Op, SiteIx, Times};
use crate::{Diagnostic, Place};

/// Reduces a function to what matters here.
pub(super) fn lower(item: &FunctionItem<'_>, names: &Names<'_>) -> (Block, Vec<Diagnostic>) {
    // Wrappers of the allocator: calls of them are what counts.
    if matches!(item.name.as_str(), "alloc" | "alloc_n" | "free") {
        return (Vec::new(), Vec::new());
    }
    let mut lower = Lower {
        names,
        item,
        out: Vec::new(),
        found: Vec::new(),
        freed: Vec::new(),
        timer: false,
        compared: false,
    };
    lower.visit_block(item.block);
    (lower.out, lower.found)
}

struct Lower<'n, 'a> {
    names: &'n Names<'a>,
    item: &'n FunctionItem<'a>,
    out: Block,
    found: Vec<Diagnostic>,
    /// Frees seen so far, with the names that the freed value mentions.
    freed: Vec<(SiteIx, Vec<String>)>,
    /// Within the arguments of `arm(..)`.
    timer: bool,
    /// A stage named here is compared, not asked for.
    compared: bool,
}

/// Methods that run a closure at most once.
const AT_MOST_ONCE: [&str; 14] = [
    "and_then",
    "get_or_insert_with",
    "inspect_err",
    "is_none_or",
    "is_ok_and",
    "is_some_and",
    "map_err",
    "map_or",
    "map_or_else",
    "ok_or_else",
    "or_else",
    "or_insert_with",
    "then",
    "unwrap_or_else",
];

impl Lower<'_, '_> {
    fn place(&self, spanned: &impl Spanned) -> Place {
        place(&self.item.file, spanned.span())
    }

    fn error(&mut self, spanned: &impl Spanned, message: impl Into<String>) {
        let place = self.place(spanned);
        self.found.push(Diagnostic::error(&place, message));
    }

    /// Collects what `run` emits into a block of its own.
    fn block(&mut self, run: impl FnOnce(&mut Self)) -> Block {
        let outer = std::mem::take(&mut self.out);
        run(self);
        std::mem::replace(&mut self.out, outer)
    }

    fn branch(&mut self, branches: Vec<Block>) {
        if branches.iter().any(|b| !b.is_empty()) {
            self.out.push(Op::Branch(branches));
        }
    }

    fn in_loop(&mut self, at: &impl Spanned, times: Times, body: Block, drains: Vec<SiteIx>) {
        self.labelled_loop(None, at, times, body, drains);
    }

    fn labelled_loop(
        &mut self,
        label: Option<&syn::Label>,
        at: &impl Spanned,
        times: Times,
        body: Block,
        drains: Vec<SiteIx>,
    ) {
        if !body.is_empty() {
            let label = label.map(|l| l.name.ident.to_string());
            let place = self.place(at);
            self.out.push(Op::Loop { times, label, body, drains, place });
        }
    }

    /// Sites freed since `mark` with a value that mentions one of `bound`.
    fn freed_since(&self, mark: usize, bound: &[String]) -> Vec<SiteIx> {
        let mut sites: Vec<SiteIx> = self.freed[mark..]
            .iter()
            .filter(|(_, names)| names.iter().any(|n| bound.contains(n)))
            .map(|(site, _)| *site)
            .collect();
        sites.sort_unstable();
        sites.dedup();
        sites
    }

    /// `alloc`, `alloc_n` and `free`, whether called as methods or as functions.
    fn construct(&mut self, name: &str, args: &[&Expr], at: &impl Spanned) -> bool {
        match name {
            "alloc" | "alloc_n" => self.alloc(name == "alloc_n", args, at),
            "free" => self.free(args, at),
            _ => return false,
        }
        true
    }

    fn alloc(&mut self, has_count: bool, args: &[&Expr], at: &impl Spanned) {
        let found = args.iter().enumerate().find_map(|(i, a)| Some((i, self.names.site(a)?)));
        let Some((i, (site, declared))) = found else {
            self.error(
                at,
                "this allocates, but no argument is a site of these files; pass the constant \
                 itself, as in `.alloc(REQUEST)`",
            );
            return;
        };
        let count = args.get(i + 1).and_then(|n| self.names.constants.value(n));
        let count = match (has_count, count.map(u32::try_from)) {
            (false, _) => None,
            (true, Some(Ok(n))) if n > 0 => Some(n),
            (true, _) => {
                self.error(at, "the count of `.alloc_n(SITE, n)` must be a constant above 0");
                return;
            }
        };
        let most = count.into_iter().chain(declared).min();
        let amount = count.unwrap_or(1);
        let place = self.place(at);
        self.out.push(Op::Alloc { site, amount, most, place });
    }

    fn free(&mut self, args: &[&Expr], at: &impl Spanned) {
        let found = args.iter().enumerate().find_map(|(i, a)| Some((i, self.names.site(a)?)));
        let Some((i, (site, _))) = found else {
            let place = self.place(at);
            self.found.push(Diagnostic::warning(
                &place,
                "this frees, but no argument is a site of these files: the object counts as \
                 live; pass the constant itself, as in `.free(REQUEST, slot)`",
            ));
            return;
        };
        let values = &args[i + 1..];
        if let [Expr::Path(path)] = values
            && path.path.is_ident("None")
        {
            self.out.push(Op::FreeAll(site));
            return;
        }
        self.freed.push((site, mentioned_names(values)));
        self.out.push(Op::Free(site));
    }

    fn call(&mut self, candidates: Vec<usize>, at: &impl Spanned) {
        if !candidates.is_empty() {
            let place = self.place(at);
            self.out.push(Op::Call(candidates, place));
        }
    }

    /// A closure, which runs later: at most once, or any number of times.
    fn closure(&mut self, closure: &syn::ExprClosure, once: bool) {
        let body = self.block(|l| l.visit_expr(&closure.body));
        if body.is_empty() {
            return;
        }
        let body = vec![Op::Scope { label: None, returns: true, body }];
        if once {
            self.branch(vec![body, Vec::new()]);
        } else {
            self.in_loop(closure, Times::Any, body, Vec::new());
        }
    }

    fn argument(&mut self, argument: &Expr, once: bool) {
        match argument {
            Expr::Closure(closure) => self.closure(closure, once),
            other => self.visit_expr(other),
        }
    }

    fn if_expression(&mut self, node: &syn::ExprIf) {
        self.visit_expr(&node.cond);
        let mark = self.freed.len();
        let mut then = self.block(|l| l.visit_block(&node.then_branch));
        if fills(&node.then_branch, &absent_places(&node.cond)) {
            then = vec![Op::Guarded(then)];
        }

        // `if let Some(x) = .. { free(SITE, x) }`: without an x there is no object.
        let mut otherwise = Vec::new();
        if let Expr::Let(condition) = &*node.cond {
            let freed = self.freed_since(mark, &bound_names(&condition.pat));
            otherwise.extend(freed.into_iter().map(Op::Free));
        }
        if let Some((_, branch)) = &node.else_branch {
            otherwise.extend(self.block(|l| l.visit_expr(branch)));
        }
        self.branch(vec![then, otherwise]);
    }

    fn match_expression(&mut self, node: &syn::ExprMatch) {
        self.visit_expr(&node.expr);
        let mark = self.freed.len();
        let mut bound = Vec::new();
        let mut arms = Vec::new();
        for arm in &node.arms {
            bound.extend(bound_names(&arm.pat));
            let body = self.block(|l| {
                if let Some((_, guard)) = &arm.guard {
                    l.visit_expr(guard);
                }
                l.visit_expr(&arm.body);
            });
            arms.push((is_none(&arm.pat), body));
        }
        let freed = self.freed_since(mark, &bound);
        let with_absent = |(none, body): (bool, Block)| -> Block {
            let absent = if none { freed.as_slice() } else { &[] };
            absent.iter().copied().map(Op::Free).chain(body).collect()
        };
        let arms = arms.into_iter().map(with_absent).collect();
        self.branch(arms);
    }

    /// How often `for _ in a..b` runs, where that is constant.
    fn times(&self, iterated: &Expr) -> Times {
        let Expr::Range(range) = iterated else { return Times::Any };
        let value = |e: &Option<Box<Expr>>| self.names.constants.value(e.as_deref()?);
        let (Some(start), Some(end)) = (value(&range.start), value(&range.end)) else {
            return Times::Any;
        };
        let end = match range.limits {
            RangeLimits::HalfOpen(_) => end,
            RangeLimits::Closed(_) => end.saturating_add(1),
        };
        u32::try_from(end.saturating_sub(start)).map_or(Times::Any, Times::Exactly)
    }

    fn with_flag(&mut self, flag: fn(&mut Self) -> &mut bool, run: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(flag(self), true);
        run(self);
        *flag(self) = outer;
    }

    fn macro_call(&mut self, mac: &syn::Macro) {
        match macros::meaning(mac) {
            Meaning::Arguments(arguments) => {
                arguments.iter().for_each(|a| self.visit_expr(a));
            }
            Meaning::Compared(arguments) => {
                self.with_flag(
                    |l| &mut l.compared,
                    |l| arguments.iter().for_each(|a| l.visit_expr(a)),
                );
            }
            Meaning::Diverges(arguments) => {
                arguments.iter().for_each(|a| self.visit_expr(a));
                self.out.push(Op::Close);
            }
            Meaning::Hidden(what) => self.error(&mac.path, macros::message(what)),
            Meaning::Nothing => {
                let mut called = Vec::new();
                macros::called(&mac.tokens, &mut called);
                if let Some(name) = called.iter().find(|name| self.names.is_function(name)) {
                    self.error(&mac.path, macros::message(format_args!("{name}(..)")));
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Lower<'_, '_> {
    fn visit_item(&mut self, _: &'ast syn::Item) {}
    fn visit_pat(&mut self, _: &'ast Pat) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}

    fn visit_expr_path(&mut self, node: &'ast syn::ExprPath) {
        if self.compared {
            return;
        }
        if let Some(Ok(stage)) = self.names.stage(&node.path) {
            self.out.push(Op::Post { stage, timer: self.timer });
        }
    }

    fn visit_expr_binary(&mut self, node: &'ast syn::ExprBinary) {
        match node.op {
            BinOp::And(_) | BinOp::Or(_) => {
                self.visit_expr(&node.left);
                let right = self.block(|l| l.visit_expr(&node.right));
                self.branch(vec![right, Vec::new()]);
            }
            BinOp::Eq(_) | BinOp::Ne(_) => {
                self.with_flag(
                    |l| &mut l.compared,
                    |l| {
                        l.visit_expr(&node.left);
                        l.visit_expr(&node.right);
                    },
                );
            }
            _ => visit::visit_expr_binary(self, node),
        }
    }

    fn visit_expr_index(&mut self, node: &'ast syn::ExprIndex) {
        self.visit_expr(&node.expr);
        self.with_flag(|l| &mut l.compared, |l| l.visit_expr(&node.index));
    }

    fn visit_expr_assign(&mut self, node: &'ast syn::ExprAssign) {
        let before = self.out.len();
        self.visit_expr(&node.right);
        let posts = self.out[before..].iter().any(|op| matches!(op, Op::Post { .. }));
        if posts && matches!(&*node.left, Expr::Field(_) | Expr::Index(_)) {
            let place = self.place(node);
            self.found.push(Diagnostic::warning(
                &place,
                "a stage is stored here: the event counts as asked for by this stage, not by the \
                 one that reads it; name the stage where it is asked for",
            ));
        }
        self.visit_expr(&node.left);
    }

    fn visit_expr_call(&mut self, node: &'ast syn::ExprCall) {
        let Expr::Path(function) = &*node.func else {
            visit::visit_expr_call(self, node);
            return;
        };
        let name = function.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
        let timer = self.timer;
        self.timer |= name == "arm";
        node.args.iter().for_each(|a| self.argument(a, false));
        self.timer = timer;
        let args: Vec<&Expr> = node.args.iter().collect();
        if self.construct(&name, &args, node) {
            return;
        }
        if let Some(Err(())) = self.names.stage(&function.path) {
            let place = self.place(node);
            let message = "a stage computed at run time leads to no known stage; name it";
            self.found.push(Diagnostic::warning(&place, message));
        }
        self.call(self.names.functions(&function.path, args.len(), self.item), node);
    }

    fn visit_expr_method_call(&mut self, node: &'ast ExprMethodCall) {
        self.visit_expr(&node.receiver);
        let name = node.method.to_string();
        let outer = self.timer;
        self.timer |= name == "arm";
        let once = AT_MOST_ONCE.contains(&name.as_str());
        let before = self.block(|l| node.args.iter().for_each(|a| l.argument(a, once)));
        self.timer = outer;
        if matches!(name.as_str(), "get_or_insert_with" | "or_insert_with") {
            self.out.push(Op::Guarded(before));
        } else {
            self.out.extend(before);
        }

        let args: Vec<&Expr> = node.args.iter().collect();
        if self.construct(&name, &args, &node.method) {
            return;
        }
        let on_self = matches!(&*node.receiver, Expr::Path(p) if p.path.is_ident("self"));
        let own = on_self.then_some(self.item.self_type.as_deref()).flatten();
        let candidates = self.names.methods(&name, args.len(), own);
        if name == "close" && args.is_empty() && candidates.is_empty() {
            self.out.push(Op::Close);
        } else {
            self.call(candidates, &node.method);
        }
    }

    fn visit_expr_closure(&mut self, node: &'ast syn::ExprClosure) {
        self.closure(node, false);
    }

    fn visit_expr_async(&mut self, node: &'ast syn::ExprAsync) {
        let body = self.block(|l| l.visit_block(&node.block));
        self.out.push(Op::Scope { label: None, returns: true, body });
    }

    fn visit_expr_block(&mut self, node: &'ast syn::ExprBlock) {
        let Some(label) = &node.label else { return self.visit_block(&node.block) };
        let body = self.block(|l| l.visit_block(&node.block));
        let label = Some(label.name.ident.to_string());
        self.out.push(Op::Scope { label, returns: false, body });
    }

    fn visit_expr_if(&mut self, node: &'ast syn::ExprIf) {
        self.if_expression(node);
    }

    fn visit_expr_match(&mut self, node: &'ast syn::ExprMatch) {
        self.match_expression(node);
    }

    fn visit_expr_while(&mut self, node: &'ast syn::ExprWhile) {
        let mark = self.freed.len();
        let body = self.block(|l| {
            l.visit_expr(&node.cond);
            l.visit_block(&node.body);
        });
        let drains = match &*node.cond {
            Expr::Let(condition) => self.freed_since(mark, &bound_names(&condition.pat)),
            _ => Vec::new(),
        };
        self.labelled_loop(node.label.as_ref(), &node.while_token, Times::Any, body, drains);
    }

    fn visit_expr_for_loop(&mut self, node: &'ast syn::ExprForLoop) {
        self.visit_expr(&node.expr);
        let mark = self.freed.len();
        let body = self.block(|l| l.visit_block(&node.body));
        let drains = self.freed_since(mark, &bound_names(&node.pat));
        let times = self.times(&node.expr);
        self.labelled_loop(node.label.as_ref(), &node.for_token, times, body, drains);
    }

    fn visit_expr_loop(&mut self, node: &'ast syn::ExprLoop) {
        let body = self.block(|l| l.visit_block(&node.body));
        self.labelled_loop(node.label.as_ref(), &node.loop_token, Times::Forever, body, Vec::new());
    }

    fn visit_expr_return(&mut self, node: &'ast syn::ExprReturn) {
        visit::visit_expr_return(self, node);
        self.out.push(Op::Return);
    }

    fn visit_expr_try(&mut self, node: &'ast syn::ExprTry) {
        self.visit_expr(&node.expr);
        self.out.push(Op::Branch(vec![vec![Op::Return], Vec::new()]));
    }

    fn visit_expr_break(&mut self, node: &'ast syn::ExprBreak) {
        visit::visit_expr_break(self, node);
        self.out.push(Op::Break(node.label.as_ref().map(|l| l.ident.to_string())));
    }

    fn visit_expr_continue(&mut self, node: &'ast syn::ExprContinue) {
        self.out.push(Op::Continue(node.label.as_ref().map(|l| l.ident.to_string())));
    }

    fn visit_local(&mut self, node: &'ast syn::Local) {
        let Some(init) = &node.init else { return };
        self.visit_expr(&init.expr);
        if let Some((_, otherwise)) = &init.diverge {
            let otherwise = self.block(|l| l.visit_expr(otherwise));
            self.branch(vec![otherwise, Vec::new()]);
        }
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        self.macro_call(node);
    }
}
