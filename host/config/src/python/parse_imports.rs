//! Imports and `with read_base()` to the config language's own syntax tree.
//!
//! Beside `parse`, the only file that names the ruff crates.

use std::sync::Arc;

use ruff_python_ast as ast;
use ruff_text_size::Ranged;

use super::parse::{Lowered, Lowering};
use super::syntax::{BaseImport, StatementKind};

const READ_BASE: &str = "read_base";

/// `import a.b` gives the name `a`, `import a.b as c` the name `c` for `a.b`.
pub(super) fn import(import: &ast::StmtImport) -> StatementKind {
    let binding = |alias: &ast::Alias| {
        let path = alias.name.as_str();
        match &alias.asname {
            Some(name) => (name.as_str().into(), path.into()),
            None => {
                let first: Arc<str> = path.split('.').next().unwrap_or(path).into();
                (first.clone(), first)
            }
        }
    };
    StatementKind::Import(import.names.iter().map(binding).collect())
}

/// Tells whether a `with` statement is `with read_base():`.
pub(super) fn is_read_base(with: &ast::StmtWith) -> bool {
    let [ast::WithItem { context_expr: ast::Expr::Call(call), optional_vars: None, .. }] =
        &with.items[..]
    else {
        return false;
    };
    let is_named = match &*call.func {
        ast::Expr::Name(name) => name.id.as_str() == READ_BASE,
        ast::Expr::Attribute(attribute) => attribute.attr.as_str() == READ_BASE,
        _ => false,
    };
    is_named && call.arguments.is_empty() && !with.is_async
}

impl Lowering {
    pub(super) fn import_from(&self, import: &ast::StmtImportFrom) -> Lowered<StatementKind> {
        if import.level > 0 {
            let what = "relative imports outside `with read_base()`";
            return self.refuse(import.range(), what, "inherit from a config in the block");
        }
        let module = import.module.as_ref().map_or("", |module| module.as_str());
        let mut bindings = Vec::new();
        for alias in &import.names {
            let name = alias.name.as_str();
            if name == "*" {
                let what = "imports of everything outside `with read_base()`";
                return self.refuse(import.range(), what, "import names");
            }
            if name != READ_BASE && module != "__future__" {
                let known_as = alias.asname.as_ref().map_or(name, |known_as| known_as.as_str());
                bindings.push((known_as.into(), format!("{module}.{name}").into()));
            }
        }
        Ok(StatementKind::Import(bindings))
    }

    pub(super) fn read_base(&self, with: &ast::StmtWith) -> Lowered<StatementKind> {
        let mut imports = Vec::new();
        for statement in &with.body {
            let import = match statement {
                ast::Stmt::ImportFrom(import) => import,
                ast::Stmt::Pass(_) => continue,
                other => {
                    let what = "statements other than `from … import …` in `with read_base()`";
                    return self.refuse(other.range(), what, "move it below the block");
                }
            };
            let dots = ".".repeat(import.level as usize);
            let module = import.module.as_ref().map_or("", |module| module.as_str());
            let module = format!("{dots}{module}");
            let pair = |alias: &ast::Alias| {
                let name = alias.name.as_str();
                let known_as = alias.asname.as_ref().map_or(name, |known_as| known_as.as_str());
                (name.into(), known_as.into())
            };
            let is_all = import.names.iter().any(|alias| alias.name.as_str() == "*");
            let names = (!is_all).then(|| import.names.iter().map(pair).collect());
            imports.push(BaseImport { line: self.line(import.range()), module, names });
        }
        Ok(StatementKind::ReadBase(imports))
    }
}
