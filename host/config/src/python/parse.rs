//! Python text to the config language's own syntax tree; refuses by name what is not part of it.
//!
//! With `parse_imports` and `parse_strings`, the only file that names the ruff crates: they promise no stable interface and are pinned.

use std::mem::ManuallyDrop;

use ruff_python_ast as ast;
use ruff_python_parser::{Mode, ParseOptions, Parsed, parse_unchecked};
use ruff_text_size::{Ranged, TextRange};

use super::nesting::check_nesting;
use super::parse_imports as imports;
use super::parse_strings::string;
use super::syntax::{
    BinaryOperator, Call, Comparison, Conditional, DictItem, Expression, ExpressionKind, For,
    Keyword, Loop, Slice, Statement, StatementKind, UnaryOperator,
};
use crate::error::Problem;
use crate::limits::check_depth;
use crate::location::Lines;

pub(super) type Lowered<T> = Result<T, (u32, Problem)>;

/// Reads a Python-syntax config.
///
/// Errors: the line and what is wrong there, a syntax error or a construct that is not part of the
/// language.
pub(crate) fn parse(text: &str) -> Lowered<Vec<Statement>> {
    let lines = Lines::new(text);
    check_nesting(text).map_err(|(offset, problem)| (lines.line(offset), problem))?;
    // A hostile chain such as 1+1+1+… makes a tree so deep that dropping it would overflow the stack.
    // It is leaked unless it is short, or the walk below has shown that it is shallow.
    let parsed = ManuallyDrop::new(parse_unchecked(text, ParseOptions::from(Mode::Module)));
    let lowered = lower(&parsed, lines);
    if lowered.is_ok() || text.len() <= SHALLOW_BYTES {
        drop(ManuallyDrop::into_inner(parsed));
    }
    lowered
}

/// A text this short cannot make a tree that is too deep to drop.
const SHALLOW_BYTES: usize = 4096;

fn lower(parsed: &Parsed<ast::Mod>, lines: Lines) -> Lowered<Vec<Statement>> {
    if let Some(error) = parsed.errors().first() {
        let message = error.error.to_string();
        let line = lines.line(error.location.start().to_usize());
        return Err((line, Problem::Syntax { format: "Python", message }));
    }
    let ast::Mod::Module(module) = parsed.syntax() else { return Ok(Vec::new()) };
    Lowering { lines, depth: 0, loops: 0 }.statements(&module.body)
}

pub(super) struct Lowering {
    lines: Lines,
    depth: usize,
    /// How many loops are around the current statement.
    loops: usize,
}

impl Lowering {
    pub(super) fn line(&self, range: TextRange) -> u32 {
        self.lines.line(range.start().to_usize())
    }

    pub(super) fn refuse<T>(&self, range: TextRange, what: &str, hint: &'static str) -> Lowered<T> {
        Err((self.line(range), Problem::NotInLanguage { what: what.to_owned(), hint }))
    }

    fn statements(&mut self, body: &[ast::Stmt]) -> Lowered<Vec<Statement>> {
        let mut statements = Vec::with_capacity(body.len());
        self.depth += 1;
        for statement in body {
            let line = self.line(statement.range());
            check_depth(self.depth).map_err(|problem| (line, problem))?;
            if let Some(kind) = self.statement(statement)? {
                statements.push(Statement { line, kind });
            }
        }
        self.depth -= 1;
        Ok(statements)
    }

    fn statement(&mut self, statement: &ast::Stmt) -> Lowered<Option<StatementKind>> {
        let kind = match statement {
            ast::Stmt::Assign(assign) => StatementKind::Assign {
                targets: self.expressions(&assign.targets)?,
                value: self.expression(&assign.value)?,
            },
            ast::Stmt::AnnAssign(assign) => {
                let Some(value) = &assign.value else { return Ok(None) };
                let targets = vec![self.expression(&assign.target)?];
                StatementKind::Assign { targets, value: self.expression(value)? }
            }
            ast::Stmt::AugAssign(assign) => StatementKind::AugmentedAssign {
                target: self.expression(&assign.target)?,
                operator: self.operator(assign.op, assign.range)?,
                value: self.expression(&assign.value)?,
            },
            ast::Stmt::Delete(delete) => StatementKind::Delete(self.expressions(&delete.targets)?),
            ast::Stmt::Expr(expr) => StatementKind::Evaluate(self.expression(&expr.value)?),
            ast::Stmt::Pass(_) => return Ok(None),
            ast::Stmt::For(round) if !round.is_async => {
                let target = self.expression(&round.target)?;
                let source = self.expression(&round.iter)?;
                self.loops += 1;
                let body = self.statements(&round.body)?;
                self.loops -= 1;
                let otherwise = self.statements(&round.orelse)?;
                StatementKind::For(Box::new(For { target, source, body, otherwise }))
            }
            ast::Stmt::If(branch) => self.branches(branch)?,
            ast::Stmt::Import(import) => imports::import(import),
            ast::Stmt::ImportFrom(import) => self.import_from(import)?,
            ast::Stmt::With(with) if imports::is_read_base(with) => self.read_base(with)?,
            ast::Stmt::Break(_) if self.loops > 0 => StatementKind::Break,
            ast::Stmt::Continue(_) if self.loops > 0 => StatementKind::Continue,
            other => return self.refuse_statement(other),
        };
        Ok(Some(kind))
    }

    fn branches(&mut self, branch: &ast::StmtIf) -> Lowered<StatementKind> {
        let mut branches = vec![(self.expression(&branch.test)?, self.statements(&branch.body)?)];
        let mut otherwise = Vec::new();
        for clause in &branch.elif_else_clauses {
            let body = self.statements(&clause.body)?;
            match &clause.test {
                Some(test) => branches.push((self.expression(test)?, body)),
                None => otherwise = body,
            }
        }
        Ok(StatementKind::If { branches, otherwise })
    }

    fn refuse_statement<T>(&self, statement: &ast::Stmt) -> Lowered<T> {
        let (what, hint) = match statement {
            ast::Stmt::FunctionDef(_) => ("function definitions", "write the values themselves"),
            ast::Stmt::ClassDef(_) => ("class definitions", "write a plugin for new components"),
            ast::Stmt::While(_) => ("`while` statements", "use `for` over a range"),
            ast::Stmt::For(_) => ("asynchronous loops", "use `for`"),
            ast::Stmt::Break(_) | ast::Stmt::Continue(_) => {
                ("`break` and `continue` outside a loop", "remove it")
            }
            ast::Stmt::Return(_) => ("`return` statements", "remove it"),
            ast::Stmt::With(_) => ("`with` statements", "only `with read_base():` is"),
            ast::Stmt::Match(_) => ("`match` statements", "use `if` and `elif`"),
            ast::Stmt::Try(_) => ("`try` statements", "nothing here raises"),
            ast::Stmt::Assert(_) => ("`assert` statements", "remove it"),
            ast::Stmt::Raise(_) => ("`raise` statements", "remove it"),
            ast::Stmt::Global(_) | ast::Stmt::Nonlocal(_) => ("scope declarations", "remove it"),
            ast::Stmt::TypeAlias(_) => ("type aliases", "remove it"),
            _ => ("statements of this kind", "remove it"),
        };
        self.refuse(statement.range(), what, hint)
    }

    fn expressions(&mut self, list: &[ast::Expr]) -> Lowered<Vec<Expression>> {
        list.iter().map(|expr| self.expression(expr)).collect()
    }

    fn boxed(&mut self, expr: &ast::Expr) -> Lowered<Box<Expression>> {
        self.expression(expr).map(Box::new)
    }

    fn optional(&mut self, expr: Option<&ast::Expr>) -> Lowered<Option<Expression>> {
        expr.map(|expr| self.expression(expr)).transpose()
    }

    pub(super) fn expression(&mut self, expr: &ast::Expr) -> Lowered<Expression> {
        let line = self.line(expr.range());
        self.depth += 1;
        check_depth(self.depth).map_err(|problem| (line, problem))?;
        let kind = self.kind(expr)?;
        self.depth -= 1;
        Ok(Expression { line, kind })
    }

    fn kind(&mut self, expr: &ast::Expr) -> Lowered<ExpressionKind> {
        Ok(match expr {
            ast::Expr::NoneLiteral(_) => ExpressionKind::None,
            ast::Expr::BooleanLiteral(literal) => ExpressionKind::Bool(literal.value),
            ast::Expr::NumberLiteral(literal) => self.number(literal)?,
            ast::Expr::StringLiteral(literal) => {
                string(literal.value.to_str(), self.line(literal.range))
            }
            ast::Expr::FString(literal) => self.f_string(literal)?,
            ast::Expr::Name(name) => ExpressionKind::Name(name.id.as_str().into()),
            ast::Expr::List(list) => ExpressionKind::List(self.expressions(&list.elts)?),
            ast::Expr::Tuple(tuple) => ExpressionKind::Tuple(self.expressions(&tuple.elts)?),
            ast::Expr::Dict(dict) => self.dict(dict)?,
            ast::Expr::Set(set) => self.placeholder(set)?,
            ast::Expr::Starred(starred) => ExpressionKind::Starred(self.boxed(&starred.value)?),
            ast::Expr::Call(call) => self.call(call)?,
            ast::Expr::Attribute(attribute) => ExpressionKind::Attribute {
                holder: self.boxed(&attribute.value)?,
                name: attribute.attr.as_str().into(),
            },
            ast::Expr::Subscript(subscript) => ExpressionKind::Subscript {
                holder: self.boxed(&subscript.value)?,
                index: self.boxed(&subscript.slice)?,
            },
            ast::Expr::Slice(slice) => ExpressionKind::Slice(Box::new(Slice {
                lower: self.optional(slice.lower.as_deref())?,
                upper: self.optional(slice.upper.as_deref())?,
                step: self.optional(slice.step.as_deref())?,
            })),
            other => return self.operation(other),
        })
    }

    fn operation(&mut self, expr: &ast::Expr) -> Lowered<ExpressionKind> {
        Ok(match expr {
            ast::Expr::BinOp(binary) => ExpressionKind::Binary {
                operator: self.operator(binary.op, binary.range)?,
                sides: Box::new((self.expression(&binary.left)?, self.expression(&binary.right)?)),
            },
            ast::Expr::UnaryOp(unary) => self.unary(unary)?,
            ast::Expr::BoolOp(operation) => {
                let values = self.expressions(&operation.values)?;
                match operation.op {
                    ast::BoolOp::And => ExpressionKind::All(values),
                    ast::BoolOp::Or => ExpressionKind::Any(values),
                }
            }
            ast::Expr::Compare(compare) => {
                let rest = self.expressions(&compare.comparators)?;
                ExpressionKind::Compare {
                    first: self.boxed(&compare.left)?,
                    rest: compare.ops.iter().map(|op| comparison(*op)).zip(rest).collect(),
                }
            }
            ast::Expr::If(conditional) => ExpressionKind::Conditional(Box::new(Conditional {
                test: self.expression(&conditional.test)?,
                then: self.expression(&conditional.body)?,
                otherwise: self.expression(&conditional.orelse)?,
            })),
            ast::Expr::ListComp(list) => ExpressionKind::ListComprehension {
                element: self.boxed(&list.elt)?,
                loops: self.loops(&list.generators)?,
            },
            ast::Expr::Generator(generator) => ExpressionKind::ListComprehension {
                element: self.boxed(&generator.elt)?,
                loops: self.loops(&generator.generators)?,
            },
            ast::Expr::DictComp(dict) => self.dict_comprehension(dict)?,
            other => return self.refuse_expression(other),
        })
    }

    fn refuse_expression<T>(&self, expr: &ast::Expr) -> Lowered<T> {
        let (what, hint) = match expr {
            ast::Expr::Lambda(_) => ("lambdas", "write the value itself"),
            ast::Expr::SetComp(_) => ("set comprehensions", "use a list comprehension"),
            ast::Expr::Named(_) => ("assignments inside expressions", "assign on its own line"),
            ast::Expr::BytesLiteral(_) => ("bytes", "use a string"),
            ast::Expr::EllipsisLiteral(_) => ("ellipses", "use None"),
            ast::Expr::TString(_) => ("template strings", "use an f-string"),
            ast::Expr::Await(_) | ast::Expr::Yield(_) | ast::Expr::YieldFrom(_) => {
                ("coroutines and generators", "write the value itself")
            }
            _ => ("expressions of this kind", "write the value itself"),
        };
        self.refuse(expr.range(), what, hint)
    }

    fn number(&self, literal: &ast::ExprNumberLiteral) -> Lowered<ExpressionKind> {
        match &literal.value {
            ast::Number::Int(int) => match int.as_i64() {
                Some(int) => Ok(ExpressionKind::Int(int)),
                None => Err((
                    self.line(literal.range),
                    Problem::Value(format!("integer: expected at most 64 bits, found {int}")),
                )),
            },
            ast::Number::Float(float) => Ok(ExpressionKind::Float(*float)),
            ast::Number::Complex { .. } => {
                self.refuse(literal.range, "complex numbers", "use two floats")
            }
        }
    }

    fn unary(&mut self, unary: &ast::ExprUnaryOp) -> Lowered<ExpressionKind> {
        let operator = match unary.op {
            ast::UnaryOp::Not => UnaryOperator::Not,
            ast::UnaryOp::UAdd => UnaryOperator::Positive,
            ast::UnaryOp::USub => UnaryOperator::Negative,
            ast::UnaryOp::Invert => return self.refuse(unary.range, "bit operations", ""),
        };
        // The lowest integer has no positive counterpart, so it is read in one piece.
        if let (UnaryOperator::Negative, ast::Expr::NumberLiteral(literal)) =
            (operator, &*unary.operand)
            && matches!(&literal.value, ast::Number::Int(int) if int.to_string() == "9223372036854775808")
        {
            return Ok(ExpressionKind::Int(i64::MIN));
        }
        Ok(ExpressionKind::Unary { operator, operand: self.boxed(&unary.operand)? })
    }

    fn operator(&self, operator: ast::Operator, range: TextRange) -> Lowered<BinaryOperator> {
        Ok(match operator {
            ast::Operator::Add => BinaryOperator::Add,
            ast::Operator::Sub => BinaryOperator::Subtract,
            ast::Operator::Mult => BinaryOperator::Multiply,
            ast::Operator::Div => BinaryOperator::Divide,
            ast::Operator::FloorDiv => BinaryOperator::FloorDivide,
            ast::Operator::Mod => BinaryOperator::Modulo,
            ast::Operator::Pow => BinaryOperator::Power,
            ast::Operator::BitOr => BinaryOperator::Or,
            ast::Operator::MatMult => return self.refuse(range, "matrix products", ""),
            _ => return self.refuse(range, "bit operations", "use `*`, `//` and `**`"),
        })
    }

    fn dict(&mut self, dict: &ast::ExprDict) -> Lowered<ExpressionKind> {
        let mut items = Vec::with_capacity(dict.items.len());
        for item in &dict.items {
            let value = self.expression(&item.value)?;
            items.push(match &item.key {
                Some(key) => DictItem::Entry(self.expression(key)?, value),
                None => DictItem::Unpack(value),
            });
        }
        Ok(ExpressionKind::Dict(items))
    }

    fn dict_comprehension(&mut self, dict: &ast::ExprDictComp) -> Lowered<ExpressionKind> {
        let Some(key) = &dict.key else {
            return self.refuse(dict.range, "unpackings in comprehensions", "write `key: value`");
        };
        let entry = Box::new((self.expression(key)?, self.expression(&dict.value)?));
        Ok(ExpressionKind::DictComprehension { entry, loops: self.loops(&dict.generators)? })
    }

    fn loops(&mut self, generators: &[ast::Comprehension]) -> Lowered<Vec<Loop>> {
        let mut loops = Vec::with_capacity(generators.len());
        for generator in generators {
            if generator.is_async {
                return self.refuse(generator.range, "asynchronous comprehensions", "");
            }
            loops.push(Loop {
                target: self.expression(&generator.target)?,
                source: self.expression(&generator.iter)?,
                conditions: self.expressions(&generator.ifs)?,
            });
        }
        Ok(loops)
    }

    fn call(&mut self, call: &ast::ExprCall) -> Lowered<ExpressionKind> {
        let mut keywords = Vec::with_capacity(call.arguments.keywords.len());
        for keyword in &call.arguments.keywords {
            keywords.push(Keyword {
                line: self.line(keyword.range),
                name: keyword.arg.as_ref().map(|name| name.as_str().into()),
                value: self.expression(&keyword.value)?,
            });
        }
        Ok(ExpressionKind::Call(Box::new(Call {
            callee: self.expression(&call.func)?,
            arguments: self.expressions(&call.arguments.args)?,
            keywords,
        })))
    }
}

fn comparison(operator: ast::CmpOp) -> Comparison {
    match operator {
        ast::CmpOp::Eq => Comparison::Equal,
        ast::CmpOp::NotEq => Comparison::NotEqual,
        ast::CmpOp::Lt => Comparison::Less,
        ast::CmpOp::LtE => Comparison::LessOrEqual,
        ast::CmpOp::Gt => Comparison::Greater,
        ast::CmpOp::GtE => Comparison::GreaterOrEqual,
        ast::CmpOp::Is => Comparison::Is,
        ast::CmpOp::IsNot => Comparison::IsNot,
        ast::CmpOp::In => Comparison::In,
        ast::CmpOp::NotIn => Comparison::NotIn,
    }
}
