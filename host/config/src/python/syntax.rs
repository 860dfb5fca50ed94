//! The syntax tree of the config language: what remains of Python once all else is refused.
//!
//! Knows nothing of the parser that makes it.

use std::sync::Arc;

/// A statement and the line it begins on.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) line: u32,
    pub(crate) kind: StatementKind,
}

#[derive(Debug)]
pub(crate) enum StatementKind {
    Assign {
        targets: Vec<Expression>,
        value: Expression,
    },
    AugmentedAssign {
        target: Expression,
        operator: BinaryOperator,
        value: Expression,
    },
    Delete(Vec<Expression>),
    Evaluate(Expression),
    For(Box<For>),
    /// The tests with their blocks, in order, and the block for when none holds.
    If {
        branches: Vec<(Expression, Vec<Statement>)>,
        otherwise: Vec<Statement>,
    },
    Break,
    Continue,
    /// Names, each with the dotted path that it stands for.
    Import(Vec<(Arc<str>, Arc<str>)>),
    /// `with read_base()`.
    ReadBase(Vec<BaseImport>),
}

/// `from module import names` of a base; without names, all of them.
#[derive(Debug)]
pub(crate) struct BaseImport {
    pub(crate) line: u32,
    /// As written, with dots in front where it is relative.
    pub(crate) module: String,
    /// Each with the name that it gets here.
    pub(crate) names: Option<Vec<(Arc<str>, Arc<str>)>>,
}

/// `for target in source: body`, and the `else` block that runs unless `break` did.
#[derive(Debug)]
pub(crate) struct For {
    pub(crate) target: Expression,
    pub(crate) source: Expression,
    pub(crate) body: Vec<Statement>,
    pub(crate) otherwise: Vec<Statement>,
}

/// An expression and the line it begins on.
#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) line: u32,
    pub(crate) kind: ExpressionKind,
}

#[derive(Debug)]
pub(crate) enum ExpressionKind {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    /// A string or f-string in pieces.
    Template(Vec<Piece>),
    /// `{{_base_.a.b}}`, or a string that is nothing else.
    Placeholder(Vec<Arc<str>>),
    Name(Arc<str>),
    List(Vec<Expression>),
    Tuple(Vec<Expression>),
    Dict(Vec<DictItem>),
    Starred(Box<Expression>),
    Call(Box<Call>),
    Attribute {
        holder: Box<Expression>,
        name: Arc<str>,
    },
    Subscript {
        holder: Box<Expression>,
        index: Box<Expression>,
    },
    Slice(Box<Slice>),
    Binary {
        operator: BinaryOperator,
        sides: Box<(Expression, Expression)>,
    },
    Unary {
        operator: UnaryOperator,
        operand: Box<Expression>,
    },
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Compare {
        first: Box<Expression>,
        rest: Vec<(Comparison, Expression)>,
    },
    Conditional(Box<Conditional>),
    ListComprehension {
        element: Box<Expression>,
        loops: Vec<Loop>,
    },
    DictComprehension {
        entry: Box<(Expression, Expression)>,
        loops: Vec<Loop>,
    },
}

#[derive(Debug)]
pub(crate) enum DictItem {
    Entry(Expression, Expression),
    Unpack(Expression),
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) callee: Expression,
    pub(crate) arguments: Vec<Expression>,
    pub(crate) keywords: Vec<Keyword>,
}

#[derive(Debug)]
pub(crate) struct Keyword {
    pub(crate) line: u32,
    /// Nothing for `**mapping`.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) value: Expression,
}

#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) lower: Option<Expression>,
    pub(crate) upper: Option<Expression>,
    pub(crate) step: Option<Expression>,
}

#[derive(Debug)]
pub(crate) struct Conditional {
    pub(crate) test: Expression,
    pub(crate) then: Expression,
    pub(crate) otherwise: Expression,
}

/// `for target in source if conditions` of a comprehension.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) target: Expression,
    pub(crate) source: Expression,
    pub(crate) conditions: Vec<Expression>,
}

/// A part of a string that is put together at evaluation.
#[derive(Debug)]
pub(crate) enum Piece {
    Text(Arc<str>),
    Value { value: Expression, conversion: Conversion, spec: Vec<Piece> },
}

/// `!r`, `!s` or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conversion {
    None,
    Str,
    Repr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOperator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
    Or,
}

impl BinaryOperator {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::Or => "|",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnaryOperator {
    Negative,
    Positive,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Is,
    IsNot,
    In,
    NotIn,
}
