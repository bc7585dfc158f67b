//! Items: the stage enum, the sites, the constants, the functions.

use std::sync::Arc;

use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Expr, FnArg, ImplItem, Item, ItemConst, Lit, Signature, Type, UseTree};

use super::constants::Constants;
use super::macros;
use super::place;
use crate::site::Site;
use crate::{Diagnostic, Place};

/// A function with its surroundings.
pub(super) struct FunctionItem<'a> {
    pub(super) name: String,
    pub(super) module: Vec<String>,
    pub(super) self_type: Option<String>,
    /// Arguments, the receiver included.
    pub(super) arguments: usize,
    pub(super) has_receiver: bool,
    pub(super) block: &'a syn::Block,
    pub(super) file: Arc<str>,
    pub(super) place: Place,
}

/// A stage as declared, with the function found for it.
pub(super) struct StageItem {
    pub(super) name: String,
    pub(super) variant: String,
    pub(super) entry: usize,
    pub(super) weight: u32,
}

struct SiteItem<'a> {
    constant: String,
    value: &'a Expr,
    place: Place,
}

/// Everything that is declared in the files, in their order.
#[derive(Default)]
pub(super) struct Items<'a> {
    pub(super) functions: Vec<FunctionItem<'a>>,
    pub(super) constants: Constants<'a>,
    sites: Vec<SiteItem<'a>>,
    enums: Vec<(&'a syn::ItemEnum, Place)>,
}

struct Reader<'a, 'i, 'd> {
    items: &'i mut Items<'a>,
    found: &'d mut Vec<Diagnostic>,
    file: Arc<str>,
    module: Vec<String>,
    self_type: Option<String>,
}

impl<'a> Items<'a> {
    pub(super) fn read_file(
        &mut self,
        path: &Arc<str>,
        file: &'a syn::File,
        found: &mut Vec<Diagnostic>,
    ) {
        let module = module_path(path);
        let file_name = path.clone();
        let mut reader = Reader { items: self, found, file: file_name, module, self_type: None };
        reader.visit_file(file);
    }

    /// The sites, ids by their order in the files.
    pub(super) fn sites(&self, found: &mut Vec<Diagnostic>) -> Vec<Site> {
        let mut sites: Vec<Site> = Vec::new();
        for item in &self.sites {
            let Some((name, size)) = self.site_new(item.value) else {
                found.push(Diagnostic::error(
                    &item.place,
                    format!(
                        "site `{}` is not `Site::new(\"name\", SIZE)` with a constant size above \
                         0; write the size as literals and constants of these files",
                        item.constant
                    ),
                ));
                continue;
            };
            let twin = sites.iter().find(|s| s.name == name || s.constant == item.constant);
            if let Some(twin) = twin {
                let message =
                    format!("site `{name}` is declared at {} too; rename one", twin.place);
                found.push(Diagnostic::error(&item.place, message));
                continue;
            }
            let count = self.constants.get(&format!("{}_COUNT", item.constant));
            let count = count.map(|n| u32::try_from(n).unwrap_or(u32::MAX).max(1));
            let (constant, place) = (item.constant.clone(), item.place.clone());
            sites.push(Site { name, constant, size, count, place });
        }
        sites
    }

    fn site_new(&self, value: &Expr) -> Option<(String, u64)> {
        let Expr::Call(call) = value else { return None };
        let Expr::Path(path) = &*call.func else { return None };
        let mut segments = path.path.segments.iter().rev();
        let is_new = segments.next()?.ident == "new" && segments.next()?.ident == "Site";
        let mut args = call.args.iter();
        let Expr::Lit(name) = args.next()? else { return None };
        let Lit::Str(name) = &name.lit else { return None };
        let size = self.constants.value(args.next()?)?;
        let name = name.value();
        let fits = is_new && args.next().is_none() && size > 0;
        (fits && is_word(&name)).then_some((name, size))
    }

    /// The stages, ids by the order of the variants.
    pub(super) fn stages(&self, found: &mut Vec<Diagnostic>) -> Vec<StageItem> {
        let (declaration, at) = match self.enums.as_slice() {
            [(declaration, at)] => (declaration, at),
            [] => {
                found.push(Diagnostic::general(
                    "no `enum Stage` in these files; it lists the stages, one variant each",
                ));
                return Vec::new();
            }
            [_, (_, again), ..] => {
                found.push(Diagnostic::error(again, "a second `enum Stage`; keep one"));
                return Vec::new();
            }
        };
        let mut stages = Vec::new();
        for variant in &declaration.variants {
            let name = snake_case(&variant.ident.to_string());
            let place = Place { file: at.file.clone(), line: variant.span().start().line };
            let weight = format!("{}_WEIGHT", name.to_uppercase());
            let weight = self.constants.get(&weight).unwrap_or(1);
            match self.entry_of(&name) {
                Ok(entry) => stages.push(StageItem {
                    name,
                    variant: variant.ident.to_string(),
                    entry,
                    weight: u32::try_from(weight).unwrap_or(u32::MAX),
                }),
                Err(message) => found.push(Diagnostic::error(&place, message)),
            }
        }
        stages
    }

    fn entry_of(&self, name: &str) -> Result<usize, String> {
        let named: Vec<usize> =
            (0..self.functions.len()).filter(|&i| self.functions[i].name == name).collect();
        let home = |&i: &usize| self.functions[i].module.last().is_some_and(|m| m == name);
        let at_home: Vec<usize> = named.iter().copied().filter(home).collect();
        match (named.as_slice(), at_home.as_slice()) {
            ([one], _) | (_, [one]) => Ok(*one),
            ([], _) => Err(format!("stage `{name}` has no function; add `fn {name}(..)`")),
            (several, _) => {
                let places: Vec<String> =
                    several.iter().map(|&i| self.functions[i].place.to_string()).collect();
                Err(format!(
                    "stage `{name}` has several functions of its name ({}); rename the others, \
                     or put it into a module `{name}`",
                    places.join(", ")
                ))
            }
        }
    }
}

impl<'a> Reader<'a, '_, '_> {
    fn place(&self, spanned: &impl Spanned) -> Place {
        place(&self.file, spanned.span())
    }

    fn constant(&mut self, name: &syn::Ident, ty: &Type, value: &'a Expr) {
        let constant = name.to_string();
        let is_site = matches!(ty, Type::Path(p)
            if p.path.segments.last().is_some_and(|s| s.ident == "Site"));
        if is_site {
            let place = self.place(name);
            self.items.sites.push(SiteItem { constant, value, place });
        } else {
            self.items.constants.add(constant, value);
        }
    }

    fn function(&mut self, signature: &Signature, block: &'a syn::Block) {
        let has_receiver = matches!(signature.inputs.first(), Some(FnArg::Receiver(_)));
        self.items.functions.push(FunctionItem {
            name: signature.ident.to_string(),
            module: self.module.clone(),
            self_type: self.self_type.clone(),
            arguments: signature.inputs.len(),
            has_receiver,
            block,
            file: self.file.clone(),
            place: self.place(&signature.ident),
        });
        let outer = self.self_type.take();
        self.visit_block(block);
        self.self_type = outer;
    }

    /// `use Stage::*` and `use .. Stage as ..` hide events from a reader of names.
    fn check_use(&mut self, tree: &UseTree, after_stage: bool) {
        let hidden = match tree {
            UseTree::Path(path) => {
                self.check_use(&path.tree, path.ident == "Stage");
                None
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.check_use(tree, after_stage);
                }
                None
            }
            UseTree::Rename(rename) if after_stage || rename.ident == "Stage" => {
                Some(self.place(rename))
            }
            UseTree::Name(name) if after_stage && name.ident != "self" => Some(self.place(name)),
            UseTree::Glob(glob) if after_stage => Some(self.place(glob)),
            UseTree::Name(_) | UseTree::Rename(_) | UseTree::Glob(_) => None,
        };
        if let Some(place) = hidden {
            let message = "stages must be named as `Stage::Name`; import `Stage` itself";
            self.found.push(Diagnostic::error(&place, message));
        }
    }
}

impl<'a> Visit<'a> for Reader<'a, '_, '_> {
    fn visit_item(&mut self, item: &'a Item) {
        match item {
            Item::Const(ItemConst { ident, ty, expr, .. }) => self.constant(ident, ty, expr),
            Item::Enum(declaration) if declaration.ident == "Stage" => {
                let place = self.place(&declaration.ident);
                self.items.enums.push((declaration, place));
            }
            Item::Fn(function) => self.function(&function.sig, &function.block),
            Item::Impl(item) => {
                let outer = std::mem::replace(&mut self.self_type, type_name(&item.self_ty));
                for item in &item.items {
                    self.visit_impl_item(item);
                }
                self.self_type = outer;
            }
            Item::Trait(item) => {
                let outer = self.self_type.replace(item.ident.to_string());
                for item in &item.items {
                    if let syn::TraitItem::Fn(function) = item
                        && let Some(block) = &function.default
                    {
                        self.function(&function.sig, block);
                    }
                }
                self.self_type = outer;
            }
            Item::Mod(module) => {
                if is_test(&module.attrs) {
                    return;
                }
                self.module.push(module.ident.to_string());
                for item in module.content.iter().flat_map(|(_, items)| items) {
                    self.visit_item(item);
                }
                self.module.pop();
            }
            Item::Use(item) => self.check_use(&item.tree, false),
            Item::Macro(item) => {
                if let Some(what) = macros::hidden(&item.mac.tokens) {
                    let place = self.place(&item.mac.path);
                    self.found.push(Diagnostic::error(&place, macros::message(what)));
                }
            }
            _ => {}
        }
    }

    fn visit_impl_item(&mut self, item: &'a ImplItem) {
        match item {
            ImplItem::Const(item) => self.constant(&item.ident, &item.ty, &item.expr),
            ImplItem::Fn(item) => self.function(&item.sig, &item.block),
            ImplItem::Macro(item) => {
                if let Some(what) = macros::hidden(&item.mac.tokens) {
                    let place = self.place(&item.mac.path);
                    self.found.push(Diagnostic::error(&place, macros::message(what)));
                }
            }
            _ => {}
        }
    }

    /// Inside functions only their nested items are of interest here.
    fn visit_stmt(&mut self, stmt: &'a syn::Stmt) {
        if let syn::Stmt::Item(item) = stmt {
            self.visit_item(item);
        } else {
            syn::visit::visit_stmt(self, stmt);
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| match &a.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

fn type_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        Type::Reference(reference) => type_name(&reference.elem),
        _ => None,
    }
}

/// `src/stages/parse.rs` is `[src, stages, parse]`, `src/stages/mod.rs` is `[src, stages]`.
fn module_path(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut parts: Vec<String> = path
        .split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != "." && *part != "..")
        .map(str::to_owned)
        .collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// Names are written into the map, where blanks and `=` separate.
fn is_word(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
}

pub(super) fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    for (i, c) in name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}
