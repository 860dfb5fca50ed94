//! Strings with values in them: f-strings and `{{_base_.x}}`, from ruff's tree to our own.
//! Knows nothing of evaluation.

use std::sync::Arc;

use ruff_python_ast as ast;
use ruff_text_size::TextRange;

use super::parse::{Lowered, Lowering};
use super::syntax::{Conversion, Expression, ExpressionKind, Piece};
use crate::placeholders::{BaseReference, base_references};

impl Lowering {
    /// `{{_base_.a.b}}` outside a string reads as a set in a set; real sets are refused.
    pub(super) fn placeholder(&self, set: &ast::ExprSet) -> Lowered<ExpressionKind> {
        if let [ast::Expr::Set(inner)] = &set.elts[..]
            && let [path] = &inner.elts[..]
            && let Some(path) = base_path(path)
        {
            return Ok(ExpressionKind::Placeholder(path));
        }
        self.refuse(set.range, "sets", "use a list")
    }

    pub(super) fn f_string(&mut self, literal: &ast::ExprFString) -> Lowered<ExpressionKind> {
        let mut pieces = Vec::new();
        for part in literal.value.as_slice() {
            match part {
                ast::FStringPart::Literal(text) => pieces.push(Piece::Text((&*text.value).into())),
                ast::FStringPart::FString(parts) => self.pieces(&parts.elements, &mut pieces)?,
            }
        }
        Ok(ExpressionKind::Template(pieces))
    }

    pub(super) fn pieces(
        &mut self,
        elements: &ast::InterpolatedStringElements,
        pieces: &mut Vec<Piece>,
    ) -> Lowered<()> {
        for element in elements {
            let value = match element {
                ast::InterpolatedStringElement::Literal(text) => {
                    pieces.push(Piece::Text((&*text.value).into()));
                    continue;
                }
                ast::InterpolatedStringElement::Interpolation(value) => value,
            };
            if value.debug_text.is_some() {
                return self.refuse(value.range, "`=` in f-strings", "write the name as text");
            }
            let mut spec = Vec::new();
            if let Some(format_spec) = &value.format_spec {
                self.pieces(&format_spec.elements, &mut spec)?;
            }
            let conversion = self.conversion(value.conversion, value.range)?;
            pieces.push(Piece::Value {
                value: self.expression(&value.expression)?,
                conversion,
                spec,
            });
        }
        Ok(())
    }

    pub(super) fn conversion(
        &self,
        flag: ast::ConversionFlag,
        range: TextRange,
    ) -> Lowered<Conversion> {
        match flag {
            ast::ConversionFlag::None => Ok(Conversion::None),
            ast::ConversionFlag::Str => Ok(Conversion::Str),
            ast::ConversionFlag::Repr => Ok(Conversion::Repr),
            ast::ConversionFlag::Ascii => self.refuse(range, "`!a` in f-strings", "use `!r`"),
        }
    }
}

/// The path of `_base_.a.b`, without `_base_`.
fn base_path(expr: &ast::Expr) -> Option<Vec<Arc<str>>> {
    match expr {
        ast::Expr::Name(name) if name.id.as_str() == "_base_" => Some(Vec::new()),
        ast::Expr::Attribute(attribute) => {
            let mut path = base_path(&attribute.value)?;
            path.push(attribute.attr.as_str().into());
            Some(path)
        }
        _ => None,
    }
}

/// A string, with `{{_base_.x}}` in it resolved at evaluation.
pub(super) fn string(text: &str, line: u32) -> ExpressionKind {
    let mut pieces = Vec::new();
    let references = base_references(text);
    if let [BaseReference { range, path }] = &references[..]
        && *range == (0..text.len())
    {
        return ExpressionKind::Placeholder(path.clone());
    }
    if references.is_empty() {
        return ExpressionKind::Str(text.into());
    }
    let mut end = 0;
    for BaseReference { range, path } in references {
        pieces.push(Piece::Text(text[end..range.start].into()));
        let value = Expression { line, kind: ExpressionKind::Placeholder(path) };
        pieces.push(Piece::Value { value, conversion: Conversion::None, spec: Vec::new() });
        end = range.end;
    }
    pieces.push(Piece::Text(text[end..].into()));
    ExpressionKind::Template(pieces)
}
