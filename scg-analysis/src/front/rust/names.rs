//! Which stage, site or function does a name mean?

use std::collections::HashMap;

use syn::{Expr, Path};

use super::constants::Constants;
use super::items::{FunctionItem, Items, StageItem};
use crate::facts::{FunctionIx, SiteIx, StageIx};
use crate::site::Site;

/// The names of all files.
pub(super) struct Names<'a> {
    pub(super) constants: &'a Constants<'a>,
    functions: &'a [FunctionItem<'a>],
    functions_by_name: HashMap<&'a str, Vec<FunctionIx>>,
    sites: HashMap<&'a str, (SiteIx, Option<u32>)>,
    stages: HashMap<&'a str, StageIx>,
}

impl<'a> Names<'a> {
    pub(super) fn new(items: &'a Items<'a>, sites: &'a [Site], stages: &'a [StageItem]) -> Self {
        let mut functions_by_name: HashMap<&str, Vec<FunctionIx>> = HashMap::new();
        for (i, function) in items.functions.iter().enumerate() {
            functions_by_name.entry(&function.name).or_default().push(i);
        }
        let site = |(i, s): (usize, &'a Site)| (s.constant.as_str(), (i, s.count));
        Names {
            constants: &items.constants,
            functions: &items.functions,
            functions_by_name,
            sites: sites.iter().enumerate().map(site).collect(),
            stages: stages.iter().enumerate().map(|(i, s)| (s.variant.as_str(), i)).collect(),
        }
    }

    /// The stage of `Stage::Name`; `Err` if it is `Stage::` followed by something else.
    pub(super) fn stage(&self, path: &Path) -> Option<Result<StageIx, ()>> {
        let mut segments = path.segments.iter().rev();
        let last = segments.next()?.ident.to_string();
        (segments.next()?.ident == "Stage")
            .then(|| self.stages.get(last.as_str()).copied().ok_or(()))
    }

    /// The site that an argument names, and its declared count: `REQUEST`, `&m::REQUEST`,
    /// `REQUEST.id()`.
    pub(super) fn site(&self, expr: &Expr) -> Option<(SiteIx, Option<u32>)> {
        match expr {
            Expr::Path(path) => {
                let last = path.path.segments.last()?.ident.to_string();
                self.sites.get(last.as_str()).copied()
            }
            Expr::Reference(inner) => self.site(&inner.expr),
            Expr::Paren(inner) => self.site(&inner.expr),
            Expr::Group(inner) => self.site(&inner.expr),
            Expr::MethodCall(call) => self.site(&call.receiver),
            Expr::Field(field) => self.site(&field.base),
            _ => None,
        }
    }

    /// Methods of this name that take `arguments` besides the receiver; those of `self_type` alone
    /// if it has one.
    pub(super) fn methods(
        &self,
        name: &str,
        arguments: usize,
        self_type: Option<&str>,
    ) -> Vec<FunctionIx> {
        let fits = |f: &FunctionItem<'_>| f.has_receiver && f.arguments == arguments + 1;
        let all = self.named(name, fits);
        let own: Vec<_> = all
            .iter()
            .copied()
            .filter(|&i| self_type.is_some() && self.functions[i].self_type.as_deref() == self_type)
            .collect();
        if own.is_empty() { all } else { own }
    }

    /// Functions that a path names when called with `arguments` from within `caller`.
    pub(super) fn functions(
        &self,
        path: &Path,
        arguments: usize,
        caller: &FunctionItem<'_>,
    ) -> Vec<FunctionIx> {
        let mut parts: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        let Some(name) = parts.pop() else { return Vec::new() };
        let mut parents = 0;
        let mut relative = false;
        while let Some(first) = parts.first() {
            match first.as_str() {
                "super" => parents += 1,
                "self" | "crate" => relative |= first == "self",
                _ => break,
            }
            parts.remove(0);
        }
        let fits = |f: &FunctionItem<'_>| f.arguments == arguments;
        let all = self.named(&name, fits);
        let module = &caller.module;
        if let Some(qualifier) = parts.last() {
            let own = if qualifier == "Self" {
                caller.self_type.clone()
            } else {
                Some(qualifier.clone())
            };
            let by_type = |&i: &usize| own.is_some() && self.functions[i].self_type == own;
            let by_module = |&i: &usize| {
                self.functions[i].self_type.is_none() && self.functions[i].module.ends_with(&parts)
            };
            return all.into_iter().filter(|i| by_type(i) || by_module(i)).collect();
        }
        let free = |&i: &usize| self.functions[i].self_type.is_none();
        let within = |home: &[String]| -> Vec<FunctionIx> {
            all.iter().copied().filter(|i| free(i) && self.functions[*i].module == home).collect()
        };
        if parents > 0 {
            return within(&module[..module.len().saturating_sub(parents)]);
        }
        let here = within(module);
        if !here.is_empty() || relative { here } else { all.into_iter().filter(free).collect() }
    }

    /// Whether any function has this name.
    pub(super) fn is_function(&self, name: &str) -> bool {
        self.functions_by_name.contains_key(name)
    }

    fn named(&self, name: &str, fits: impl Fn(&FunctionItem<'_>) -> bool) -> Vec<FunctionIx> {
        let all = self.functions_by_name.get(name).map(Vec::as_slice).unwrap_or_default();
        all.iter().copied().filter(|&i| fits(&self.functions[i])).collect()
    }
}
