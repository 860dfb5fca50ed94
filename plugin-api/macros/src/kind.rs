//! What an argument can be: its JSON schema, and its default as Rust and as JSON. Knows nothing of fields.

use crate::json;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprLit, GenericArgument, Lit, PathArguments, Result, Type, UnOp};

/// A type as far as arguments go.
pub(crate) enum Kind {
    Integer {
        low: Option<i128>,
        high: Option<i128>,
    },
    Number,
    Bool,
    Text,
    Anything,
    Choice(Vec<String>),
    /// Any of several kinds; the field's own type reads the value.
    AnyOf(Vec<Kind>),
    /// These values alone, as JSON.
    Only(Vec<String>),
    /// A dict that a key of the schema tells more of: the key and its value.
    Nested(String, String),
    Optional(Box<Kind>),
    List(Box<Kind>),
    Tuple(Vec<Kind>),
}

/// The bounds that an author gives, as written.
#[derive(Default)]
pub(crate) struct Bounds {
    pub(crate) min: Option<Expr>,
    pub(crate) max: Option<Expr>,
}

impl Kind {
    /// The kind of a type, read from how it is written.
    pub(crate) fn of(ty: &Type) -> Result<Kind> {
        if let Type::Tuple(tuple) = ty {
            let kinds: Result<Vec<Kind>> = tuple.elems.iter().map(Kind::of).collect();
            return kinds.map(Kind::Tuple);
        }
        let Type::Path(path) = ty else { return Err(unknown(ty)) };
        let Some(last) = path.path.segments.last() else { return Err(unknown(ty)) };
        let inner = || match &last.arguments {
            PathArguments::AngleBracketed(arguments) => match arguments.args.first() {
                Some(GenericArgument::Type(inner)) => Kind::of(inner).map(Box::new),
                _ => Err(unknown(ty)),
            },
            _ => Err(unknown(ty)),
        };
        let integer = |low: i128, high: i128| Kind::Integer { low: Some(low), high: Some(high) };
        Ok(match last.ident.to_string().as_str() {
            "u8" => integer(0, u8::MAX.into()),
            "u16" => integer(0, u16::MAX.into()),
            "u32" => integer(0, u32::MAX.into()),
            "u64" | "usize" => Kind::Integer { low: Some(0), high: None },
            "i8" => integer(i8::MIN.into(), i8::MAX.into()),
            "i16" => integer(i16::MIN.into(), i16::MAX.into()),
            "i32" => integer(i32::MIN.into(), i32::MAX.into()),
            "i64" | "isize" => Kind::Integer { low: None, high: None },
            "f32" | "f64" => Kind::Number,
            "bool" => Kind::Bool,
            "String" | "PathBuf" => Kind::Text,
            "Json" | "Value" => Kind::Anything,
            "Option" => Kind::Optional(inner()?),
            "Vec" => Kind::List(inner()?),
            "AnyOf" => Kind::AnyOf(all_inner(&last.arguments, ty)?),
            _ => return Err(unknown(ty)),
        })
    }

    /// Replaces the text inside by a choice.
    pub(crate) fn with_choices(self, choices: Vec<String>) -> Kind {
        match self {
            Kind::Optional(inner) => Kind::Optional(Box::new(inner.with_choices(choices))),
            _ => Kind::Choice(choices),
        }
    }

    /// `kind` for a field of any type, optional if the type is written so.
    pub(crate) fn of_any(ty: &Type, kind: Kind) -> Kind {
        let Type::Path(path) = ty else { return kind };
        match path.path.segments.last() {
            Some(last) if last.ident == "Option" => Kind::Optional(Box::new(kind)),
            _ => kind,
        }
    }

    /// Says what the dict inside is; the kind as it was where there is none inside.
    pub(crate) fn nested(self, key: &str, name: &str) -> core::result::Result<Kind, Kind> {
        let inside = |inner: Box<Kind>, around: fn(Box<Kind>) -> Kind| match inner.nested(key, name)
        {
            Ok(inner) => Ok(around(Box::new(inner))),
            Err(inner) => Err(around(Box::new(inner))),
        };
        match self {
            Kind::Anything => Ok(Kind::Nested(key.to_owned(), name.to_owned())),
            Kind::Optional(inner) => inside(inner, Kind::Optional),
            Kind::List(inner) => inside(inner, Kind::List),
            other => Err(other),
        }
    }

    /// Whether a default that is written out is read like a given value, by the field's own type.
    pub(crate) fn is_read_from_json(&self) -> bool {
        match self {
            Kind::AnyOf(_) | Kind::Only(_) => true,
            Kind::Optional(inner) => inner.is_read_from_json(),
            _ => false,
        }
    }

    /// Entries of the JSON schema.
    pub(crate) fn schema(&self, bounds: &Bounds) -> Result<Vec<(String, String)>> {
        let entry = |key: &str, value: String| (key.to_owned(), value);
        let kind = |name: &str| vec![entry("type", json::string(name))];
        Ok(match self {
            Kind::Integer { low, high } => {
                let mut entries = kind("integer");
                entries.extend(bound("minimum", &bounds.min, low.map(|low| low.to_string()))?);
                entries.extend(bound("maximum", &bounds.max, high.map(|high| high.to_string()))?);
                entries
            }
            Kind::Number => {
                let mut entries = kind("number");
                entries.extend(bound("minimum", &bounds.min, None)?);
                entries.extend(bound("maximum", &bounds.max, None)?);
                entries
            }
            Kind::Bool => kind("boolean"),
            Kind::Text => kind("string"),
            Kind::Anything => Vec::new(),
            Kind::Choice(choices) => {
                let choices: Vec<String> = choices.iter().map(|text| json::string(text)).collect();
                let mut entries = kind("string");
                entries.push(entry("enum", json::array(&choices)));
                entries
            }
            Kind::AnyOf(kinds) => vec![entry("anyOf", json::array(&schemas(kinds, bounds)?))],
            Kind::Only(values) => vec![entry("enum", json::array(values))],
            Kind::Nested(key, name) => {
                let mut entries = kind("object");
                entries.push(entry(key, json::string(name)));
                entries
            }
            Kind::Optional(inner) => or_null(inner, bounds)?,
            Kind::List(inner) => {
                let mut entries = kind("array");
                entries.push(entry("items", json::object(&inner.schema(bounds)?)));
                entries
            }
            Kind::Tuple(kinds) => {
                let mut entries = kind("array");
                entries.push(entry("prefixItems", json::array(&schemas(kinds, bounds)?)));
                entries
            }
        })
    }

    /// A default as Rust code, and as JSON where it is made of literals.
    pub(crate) fn default(&self, value: &Expr) -> Result<(TokenStream, Option<String>)> {
        if let Kind::Optional(inner) = self {
            if is_none(value) {
                return Ok((quote!(::core::option::Option::None), Some("null".to_owned())));
            }
            let (code, text) = inner.default(value)?;
            return Ok((quote!(::core::option::Option::Some(#code)), text));
        }
        match (self, value) {
            (Kind::AnyOf(_) | Kind::Only(_), value) => Ok((quote!(#value), json_of(value))),
            (Kind::List(inner), Expr::Array(array)) => {
                let (codes, text) = defaults(array.elems.iter().map(|value| (&**inner, value)))?;
                Ok((quote!(::std::vec![#(#codes),*]), text))
            }
            (Kind::Tuple(kinds), Expr::Tuple(tuple)) if kinds.len() == tuple.elems.len() => {
                let (codes, text) = defaults(kinds.iter().zip(&tuple.elems))?;
                Ok((quote!((#(#codes,)*)), text))
            }
            _ => self.plain_default(value),
        }
    }

    fn plain_default(&self, value: &Expr) -> Result<(TokenStream, Option<String>)> {
        let text = literal(value);
        let Some(text) = text else { return Ok((quote!(#value), None)) };
        let fits = match self {
            Kind::Integer { .. } => text.parse::<i128>().is_ok(),
            Kind::Number => text.parse::<f64>().is_ok(),
            Kind::Bool => text == "true" || text == "false",
            Kind::Text | Kind::Choice(_) => text.starts_with('"'),
            Kind::Anything => true,
            Kind::AnyOf(_) | Kind::Only(_) | Kind::Nested(..) => false,
            Kind::Optional(_) | Kind::List(_) | Kind::Tuple(_) => false,
        };
        if !fits {
            return Err(Error::new_spanned(value, "this default does not fit the field's type"));
        }
        let code = match self {
            Kind::Number if !text.contains(['.', 'e', 'E']) => quote!((#value) as _),
            Kind::Text | Kind::Anything => quote!(::core::convert::From::from(#value)),
            _ => quote!(#value),
        };
        Ok((code, Some(text)))
    }
}

/// The kinds between `<` and `>`.
fn all_inner(arguments: &PathArguments, ty: &Type) -> Result<Vec<Kind>> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return Err(unknown(ty)) };
    let kind = |argument: &GenericArgument| match argument {
        GenericArgument::Type(inner) => Kind::of(inner),
        _ => Err(unknown(ty)),
    };
    arguments.args.iter().map(kind).collect()
}

/// The JSON schema of each kind.
fn schemas(kinds: &[Kind], bounds: &Bounds) -> Result<Vec<String>> {
    kinds.iter().map(|kind| kind.schema(bounds).map(|entries| json::object(&entries))).collect()
}

/// Entries of the schema of a kind that may be null as well.
fn or_null(inner: &Kind, bounds: &Bounds) -> Result<Vec<(String, String)>> {
    let null = || json::object(&[("type".to_owned(), json::string("null"))]);
    let entry = |key: &str, values: &[String]| vec![(key.to_owned(), json::array(values))];
    Ok(match inner {
        Kind::AnyOf(kinds) => {
            let mut schemas = schemas(kinds, bounds)?;
            schemas.push(null());
            entry("anyOf", &schemas)
        }
        Kind::Only(values) => {
            let mut values = values.clone();
            values.push("null".to_owned());
            values.dedup();
            entry("enum", &values)
        }
        inner => {
            let mut entries = inner.schema(bounds)?;
            for (key, value) in &mut entries {
                if key == "type" {
                    *value = json::array(&[value.clone(), json::string("null")]);
                }
            }
            entries
        }
    })
}

fn defaults<'a>(
    values: impl Iterator<Item = (&'a Kind, &'a Expr)>,
) -> Result<(Vec<TokenStream>, Option<String>)> {
    let (mut codes, mut texts) = (Vec::new(), Some(Vec::new()));
    for (kind, value) in values {
        let (code, text) = kind.default(value)?;
        codes.push(code);
        texts = texts.zip(text).map(|(mut texts, text)| {
            texts.push(text);
            texts
        });
    }
    Ok((codes, texts.map(|texts| json::array(&texts))))
}

fn is_none(value: &Expr) -> bool {
    matches!(value, Expr::Path(path) if path.path.is_ident("None"))
}

fn bound(
    key: &str,
    given: &Option<Expr>,
    of_type: Option<String>,
) -> Result<Option<(String, String)>> {
    let text = match given {
        Some(value) => match literal(value).filter(|text| text.parse::<f64>().is_ok()) {
            Some(text) => Some(text),
            None => return Err(Error::new_spanned(value, "expected a number, written out")),
        },
        None => of_type,
    };
    Ok(text.map(|text| (key.to_owned(), text)))
}

/// The JSON of a literal, or of a negative one.
pub(crate) fn literal(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => match lit {
            Lit::Int(number) => Some(number.base10_digits().to_owned()),
            Lit::Float(number) => {
                let digits = number.base10_digits();
                let tail = if digits.ends_with('.') { "0" } else { "" };
                Some(format!("{digits}{tail}"))
            }
            Lit::Bool(value) => Some(value.value.to_string()),
            Lit::Str(text) => Some(json::string(&text.value())),
            _ => None,
        },
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            literal(&unary.expr).map(|text| format!("-{text}"))
        }
        _ => None,
    }
}

/// The JSON of what is written out: literals, `None`, and arrays and tuples of them.
pub(crate) fn json_of(value: &Expr) -> Option<String> {
    let all = |values: &mut dyn Iterator<Item = &Expr>| {
        values.map(json_of).collect::<Option<Vec<_>>>().map(|texts| json::array(&texts))
    };
    match value {
        value if is_none(value) => Some("null".to_owned()),
        Expr::Array(array) => all(&mut array.elems.iter()),
        Expr::Tuple(tuple) => all(&mut tuple.elems.iter()),
        value => literal(value),
    }
}

fn unknown(ty: &Type) -> Error {
    Error::new_spanned(
        ty,
        "an argument must be an integer, a float, bool, String, PathBuf, Json, or an Option, a Vec or a \
         tuple of these; for another type with FromStr give its choices(\"…\"), for one with KwargValue \
         what it reads, any_of(…)",
    )
}
