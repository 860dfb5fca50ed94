//! `#[derive(Kwargs)]`: fields to a JSON schema and to the code that reads them. Knows nothing of hooks.

use crate::json;
use crate::kind::{json_of, Bounds, Kind};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Error, Expr, Field, Fields, LitStr, Member, Result, Type};

/// One `#[kwarg(…)]`.
#[derive(Default)]
struct Options {
    default: Option<Expr>,
    bounds: Bounds,
    choices: Vec<String>,
    any_of: Vec<Type>,
    only: Option<Vec<String>>,
    /// A key of the schema that says what a nested dict is, and its value.
    nested: Option<(&'static str, String)>,
    is_required: bool,
}

/// The code for one field, and its place in the schema if it is an argument.
struct Argument {
    name: String,
    schema: String,
    is_required: bool,
}

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "expected a struct"));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "expected a type without parameters"));
    }
    let (mut members, mut arguments) = (Vec::new(), Vec::new());
    for (index, field) in data.fields.iter().enumerate() {
        let member = match &field.ident {
            Some(name) => Member::Named(name.clone()),
            None => Member::Unnamed(index.into()),
        };
        let (code, argument) = read_field(field)?;
        members.push(quote!(#member: #code));
        arguments.extend(argument);
    }
    if let (Fields::Unnamed(fields), true) = (&data.fields, !arguments.is_empty()) {
        return Err(Error::new_spanned(fields, "an argument needs a field with a name"));
    }
    let (ident, schema) = (&input.ident, schema(&arguments));
    let summary = first_paragraph(&input.attrs);
    Ok(quote! {
        #[automatically_derived]
        impl ::snaphook_plugin_api::Kwargs for #ident {
            const SUMMARY: &'static str = #summary;
            const SCHEMA: &'static str = #schema;

            fn from_kwargs(
                type_name: &str,
                kwargs: &::snaphook_plugin_api::Json,
            ) -> ::core::result::Result<Self, ::snaphook_plugin_api::HookError> {
                let _reader = ::snaphook_plugin_api::__private::Reader::new(
                    type_name,
                    <Self as ::snaphook_plugin_api::Kwargs>::SCHEMA,
                    kwargs,
                )?;
                ::core::result::Result::Ok(Self { #(#members,)* })
            }
        }
    })
}

fn schema(arguments: &[Argument]) -> String {
    let properties: Vec<_> =
        arguments.iter().map(|argument| (argument.name.clone(), argument.schema.clone())).collect();
    let required = arguments.iter().filter(|argument| argument.is_required);
    let required: Vec<String> = required.map(|argument| json::string(&argument.name)).collect();
    json::object(&[
        ("type".to_owned(), json::string("object")),
        ("properties".to_owned(), json::object(&properties)),
        ("required".to_owned(), json::array(&required)),
        ("additionalProperties".to_owned(), "false".to_owned()),
    ])
}

fn read_field(field: &Field) -> Result<(TokenStream, Option<Argument>)> {
    let Some(options) = options(field)? else {
        return Ok((quote!(::core::default::Default::default()), None));
    };
    let ident = field.ident.clone().unwrap_or_else(|| format_ident!("unnamed"));
    let name = ident.to_string().trim_start_matches("r#").to_owned();
    let kind = kind(&field.ty, &options)?;
    let is_choice = matches!(kind, Kind::Choice(_));
    let mut entries = kind.schema(&options.bounds)?;
    let ty = &field.ty;
    let given = match is_choice {
        true => quote!(_reader.choice::<#ty>(#name)?),
        false => quote!(_reader.given::<#ty>(#name)?),
    };
    let none: Expr = syn::parse_quote!(None);
    let is_optional = matches!(kind, Kind::Optional(_)) && !options.is_required;
    let default = options.default.as_ref().or(is_optional.then_some(&none));
    let code = match default {
        Some(value) => {
            let (code, text) = kind.default(value)?;
            let code = match &text {
                _ if is_choice => quote!(_reader.default_choice(#name, #code)?),
                Some(text) if kind.is_read_from_json() => {
                    quote!(_reader.default_value::<#ty>(#name, #text)?)
                }
                _ => code,
            };
            entries.extend(text.map(|text| ("default".to_owned(), text)));
            quote!(match #given {
                ::core::option::Option::Some(value) => value,
                ::core::option::Option::None => #code,
            })
        }
        None if is_choice => quote!(match #given {
            ::core::option::Option::Some(value) => value,
            ::core::option::Option::None => return ::core::result::Result::Err(
                _reader.wrong(#name, "a value", &::snaphook_plugin_api::Json::Null)
            ),
        }),
        None => quote!(_reader.required::<#ty>(#name)?),
    };
    let description = documentation(&field.attrs);
    if !description.is_empty() {
        entries.push(("description".to_owned(), json::string(&description)));
    }
    let is_required = default.is_none();
    Ok((code, Some(Argument { name, schema: json::object(&entries), is_required })))
}

fn kind(ty: &Type, options: &Options) -> Result<Kind> {
    if !options.choices.is_empty() {
        let kind = Kind::of(ty).unwrap_or(Kind::Text);
        return Ok(kind.with_choices(options.choices.clone()));
    }
    if !options.any_of.is_empty() {
        let nested = |kind: Kind| match &options.nested {
            Some((key, name)) => kind.nested(key, name).unwrap_or_else(|kind| kind),
            None => kind,
        };
        let kinds = options.any_of.iter().map(|ty| Kind::of(ty).map(nested));
        return Ok(Kind::of_any(ty, Kind::AnyOf(kinds.collect::<Result<_>>()?)));
    }
    if let Some(values) = &options.only {
        return Ok(Kind::of_any(ty, Kind::Only(values.clone())));
    }
    match &options.nested {
        Some((key, name)) => Kind::of(ty)?.nested(key, name).map_err(|_| {
            Error::new_spanned(ty, "a nested dict must be Json, or an Option or a Vec of it")
        }),
        None => Kind::of(ty),
    }
}

fn options(field: &Field) -> Result<Option<Options>> {
    let Some(attribute) = field.attrs.iter().find(|attr| attr.path().is_ident("kwarg")) else {
        return Ok(None);
    };
    let mut options = Options::default();
    if matches!(attribute.meta, syn::Meta::Path(_)) {
        return Ok(Some(options));
    }
    attribute.parse_nested_meta(|meta| {
        if meta.path.is_ident("default") {
            options.default = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("min") {
            options.bounds.min = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("max") {
            options.bounds.max = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("required") {
            options.is_required = true;
        } else if meta.path.is_ident("choices") {
            let content;
            syn::parenthesized!(content in meta.input);
            let list =
                content.parse_terminated(<LitStr as syn::parse::Parse>::parse, syn::Token![,])?;
            options.choices = list.iter().map(LitStr::value).collect();
        } else if meta.path.is_ident("any_of") {
            let content;
            syn::parenthesized!(content in meta.input);
            let list =
                content.parse_terminated(<Type as syn::parse::Parse>::parse, syn::Token![,])?;
            options.any_of = list.into_iter().collect();
        } else if meta.path.is_ident("only") {
            let content;
            syn::parenthesized!(content in meta.input);
            let list =
                content.parse_terminated(<Expr as syn::parse::Parse>::parse, syn::Token![,])?;
            let text = |value: &Expr| {
                json_of(value).ok_or_else(|| Error::new_spanned(value, "expected a literal"))
            };
            options.only = Some(list.iter().map(text).collect::<Result<_>>()?);
        } else if meta.path.is_ident("component") {
            options.nested = Some(("x-component", meta.value()?.parse::<LitStr>()?.value()));
        } else if meta.path.is_ident("settings") {
            options.nested = Some(("x-settings", meta.value()?.parse::<LitStr>()?.value()));
        } else {
            return Err(meta.error(
                "expected default, min, max, choices, any_of, only, component, settings or required",
            ));
        }
        Ok(())
    })?;
    Ok(Some(options))
}

/// The text of the documentation comments, one line per line.
fn doc_lines(attributes: &[Attribute]) -> Vec<String> {
    let text = |attribute: &Attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    };
    let texts: Vec<String> = attributes.iter().filter_map(text).collect();
    texts.join("\n").lines().map(|line| line.trim().to_owned()).collect()
}

fn documentation(attributes: &[Attribute]) -> String {
    doc_lines(attributes).join(" ").trim().to_owned()
}

fn first_paragraph(attributes: &[Attribute]) -> String {
    let lines = doc_lines(attributes);
    let lines = lines.iter().skip_while(|line| line.is_empty());
    let paragraph: Vec<&str> =
        lines.take_while(|line| !line.is_empty()).map(String::as_str).collect();
    paragraph.join(" ")
}
