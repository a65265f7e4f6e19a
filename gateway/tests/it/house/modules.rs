//! The graph of imports between the modules of one crate, and the circles in it.
//!
//! An arrow leads from a file to the file that declares what it names by a path: in a `use` or in place, through
//! `crate::`, `super::`, `self::` or the name of a child. Re-exports are followed to the declaration. Two things are no
//! arrows: a parent that only re-exports its child, and a file that uses what the modules around it declare, because a
//! folder and its file are one room. The root of a crate is no such room: it puts the others together.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::{Import, declared, imports, mentions};
use super::source::Source;

/// Re-exports of re-exports that are followed before a path counts as unknown.
const DEEPEST: usize = 8;

/// The modules of a crate; the first one is its root.
pub(super) struct Modules<'a> {
    modules: Vec<Module<'a>>,
    /// Macros of the crate by name, with the module that declares each.
    macros: BTreeMap<String, usize>,
}

struct Module<'a> {
    /// Path from the root of the crate, such as `["feed", "table"]`.
    path: Vec<String>,
    source: &'a Source,
    imports: Vec<Import>,
    declared: BTreeSet<String>,
}

/// What a path leads to: a module, or something that a module declares.
enum Found {
    Module(usize),
    Item(usize),
}

/// A name of `to` that `from` uses, both as indices of modules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    from: usize,
    to: usize,
    line: usize,
    name: String,
}

impl<'a> Modules<'a> {
    /// The modules of the sources of one crate, whose folder is `root`, such as `gateway/src`.
    pub(super) fn of(root: &str, sources: &'a [Source]) -> Self {
        let library = sources.iter().any(|s| s.path == format!("{root}/lib.rs"));
        let mut modules: Vec<Module<'a>> = sources
            .iter()
            .filter(|source| !(library && source.path == format!("{root}/main.rs")))
            .map(|source| Module::of(root, source))
            .collect();
        modules.sort_by(|a, b| a.path.cmp(&b.path));

        let mut macros = BTreeMap::new();
        for (index, module) in modules.iter().enumerate() {
            for name in module.declared.iter().filter_map(|n| n.strip_suffix('!')) {
                macros.insert(name.to_owned(), index);
            }
        }
        Self { modules, macros }
    }

    /// Every circle, as text: its files, and then the names that make up its arrows.
    pub(super) fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let reached = self.reached(&arrows);
        let mutual = |a: usize, b: usize| reached[a].contains(&b) && reached[b].contains(&a);

        let mut told = BTreeSet::new();
        let mut circles = Vec::new();
        for first in 0..self.modules.len() {
            if told.contains(&first) || !mutual(first, first) {
                continue;
            }
            let members: BTreeSet<usize> = (0..self.modules.len())
                .filter(|&other| mutual(first, other))
                .collect();
            circles.push(self.describe(&members, &arrows));
            told.extend(members);
        }
        circles
    }

    fn describe(&self, members: &BTreeSet<usize>, arrows: &BTreeSet<Arrow>) -> String {
        let files: Vec<&str> = members.iter().map(|&m| self.path(m)).collect();
        let mut text = format!("circle of {} files: {}", files.len(), files.join(", "));

        let mut names: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
        for arrow in arrows {
            if members.contains(&arrow.from) && members.contains(&arrow.to) {
                let between = names.entry((arrow.from, arrow.to)).or_default();
                between.push(format!("{} in line {}", arrow.name, arrow.line));
            }
        }
        for ((from, to), names) in names {
            let names = names.join(", ");
            text += &format!("\n    {} → {}: {names}", self.path(from), self.path(to));
        }
        text
    }

    fn path(&self, module: usize) -> &str {
        &self.modules[module].source.path
    }

    fn arrows(&self) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        for (from, module) in self.modules.iter().enumerate() {
            let imported = module
                .imports
                .iter()
                .map(|import| (import.line, &import.path, import.public));
            let mentioned = mentions(&module.source.code);
            let mentioned = mentioned.iter().map(|(line, path)| (*line, path, false));

            for (line, path, public) in imported.chain(mentioned) {
                let to = match self.resolve(from, path, DEEPEST) {
                    Some(Found::Module(to) | Found::Item(to)) => to,
                    None => continue,
                };
                let here = &module.path;
                let there = &self.modules[to].path;
                let reexport = public && there.starts_with(here);
                let room = !there.is_empty() && here.starts_with(there);
                if to != from && !reexport && !room {
                    let name = path.join("::");
                    arrows.insert(Arrow {
                        from,
                        to,
                        line,
                        name,
                    });
                }
            }
        }
        arrows
    }

    /// For each module, those that it leads to in one step or more.
    fn reached(&self, arrows: &BTreeSet<Arrow>) -> Vec<BTreeSet<usize>> {
        let mut reached = vec![BTreeSet::new(); self.modules.len()];
        for (start, reached) in reached.iter_mut().enumerate() {
            let mut open = vec![start];
            while let Some(at) = open.pop() {
                for arrow in arrows.iter().filter(|arrow| arrow.from == at) {
                    if reached.insert(arrow.to) {
                        open.push(arrow.to);
                    }
                }
            }
        }
        reached
    }

    /// Where a path leads that stands in the module `from`; none outside of the crate.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.descend(0, rest, depth),
            "self" => self.descend(from, rest, depth),
            "super" => self.descend(self.parent(from)?, rest, depth),
            child if self.child(from, child).is_some() => self.descend(from, path, depth),
            _ => None,
        }
    }

    /// Follows a path down from a module.
    fn descend(&self, at: usize, path: &[String], depth: usize) -> Option<Found> {
        let Some((name, rest)) = path.split_first() else {
            return Some(Found::Module(at));
        };
        if name == "super" {
            return self.descend(self.parent(at)?, rest, depth);
        }
        if let Some(child) = self.child(at, name) {
            return self.descend(child, rest, depth);
        }

        let module = &self.modules[at];
        if let Some(import) = module.imports.iter().find(|import| import.name == *name) {
            let found = (depth > 0).then(|| self.resolve(at, &import.path, depth - 1));
            return match found.flatten()? {
                Found::Module(module) => self.descend(module, rest, depth - 1),
                item => Some(item),
            };
        }
        if module.declared.contains(name) {
            return Some(Found::Item(at));
        }

        let elsewhere = self.behind_star(at, name, depth);
        let exported_macro = self.macros.get(name).filter(|_| at == 0).copied();
        Some(Found::Item(elsewhere.or(exported_macro).unwrap_or(at)))
    }

    /// The module that declares a name which `at` imports with a `*`.
    fn behind_star(&self, at: usize, name: &str, depth: usize) -> Option<usize> {
        let imports = self.modules[at].imports.iter();
        let stars = imports.filter(|import| import.name == "*" && depth > 0);

        stars
            .filter_map(|import| self.resolve(at, &import.path, depth - 1))
            .find_map(|found| match found {
                Found::Module(module) if self.modules[module].declared.contains(name) => {
                    Some(module)
                }
                _ => None,
            })
    }

    fn parent(&self, of: usize) -> Option<usize> {
        let (_, path) = self.modules[of].path.split_last()?;
        self.position(path)
    }

    fn child(&self, of: usize, name: &str) -> Option<usize> {
        let mut path = self.modules[of].path.clone();
        path.push(name.to_owned());
        self.position(&path)
    }

    fn position(&self, path: &[String]) -> Option<usize> {
        self.modules.iter().position(|module| module.path == path)
    }
}

impl<'a> Module<'a> {
    fn of(root: &str, source: &'a Source) -> Self {
        let path = source.path.strip_prefix(root).unwrap_or(&source.path);
        let path = path.trim_start_matches('/').trim_end_matches(".rs");
        let path = match path {
            "lib" | "main" => Vec::new(),
            path => path.split('/').map(str::to_owned).collect(),
        };

        Self {
            path,
            source,
            imports: imports(&source.code),
            declared: declared(&source.code),
        }
    }
}
