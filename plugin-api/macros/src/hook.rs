//! `#[hook]`: which points an impl of `Hook` is for. Knows nothing of arguments.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ImplItem, ItemImpl, LitStr, Result};

/// Methods of `Hook` that are no points.
const NOT_POINTS: [&str; 2] = ["save_state", "load_state"];

/// MMEngine's names of priorities.
const PRIORITIES: [(&str, i64); 9] = [
    ("HIGHEST", 0),
    ("VERY_HIGH", 10),
    ("HIGH", 30),
    ("ABOVE_NORMAL", 40),
    ("NORMAL", 50),
    ("BELOW_NORMAL", 60),
    ("LOW", 70),
    ("VERY_LOW", 90),
    ("LOWEST", 100),
];

/// What stands in the parentheses of `#[hook(…)]`.
#[derive(Default)]
pub(crate) struct Arguments {
    name: Option<LitStr>,
    priority: Option<i64>,
    stability: Option<LitStr>,
    cost_us: Option<syn::LitInt>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        while !input.is_empty() {
            let key: syn::Ident = input.parse()?;
            input.parse::<syn::Token![=]>()?;
            match key.to_string().as_str() {
                "name" => arguments.name = Some(input.parse()?),
                "stability" => arguments.stability = Some(input.parse()?),
                "priority" => arguments.priority = Some(priority(&input.parse()?)?),
                "cost_us" => arguments.cost_us = Some(cost(input.parse()?)?),
                _ => {
                    let expected = "expected name, priority, stability or cost_us";
                    return Err(Error::new_spanned(key, expected));
                }
            }
            if !input.is_empty() {
                input.parse::<syn::Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

fn priority(value: &Expr) -> Result<i64> {
    let text = crate::kind::literal(value).unwrap_or_default();
    let name = text.trim_matches('"').to_uppercase();
    let named = PRIORITIES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let number = named.or_else(|| text.parse().ok()).filter(|number| (0..=100).contains(number));
    number.ok_or_else(|| {
        let names: Vec<&str> = PRIORITIES.iter().map(|(name, _)| *name).collect();
        let expected = format!("expected a number from 0 to 100 or one of {}", names.join(", "));
        Error::new_spanned(value, expected)
    })
}

/// Microseconds, as a number without a sign or a type.
fn cost(value: syn::LitInt) -> Result<syn::LitInt> {
    let is_whole = value.suffix().is_empty() && value.base10_parse::<u32>().is_ok();
    let expected = "expected microseconds, as cost_us = 50";
    if is_whole {
        Ok(value)
    } else {
        Err(Error::new_spanned(value, expected))
    }
}

pub(crate) fn expand(arguments: &Arguments, item: &ItemImpl) -> Result<TokenStream> {
    let is_hook = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
    if !is_hook.is_some_and(|segment| segment.ident == "Hook") {
        return Err(Error::new_spanned(&item.self_ty, "expected `impl Hook for` this type"));
    }
    let syn::Type::Path(type_path) = &*item.self_ty else {
        return Err(Error::new_spanned(&item.self_ty, "expected the name of a type"));
    };
    let ident = type_path.path.segments.last().map(|segment| segment.ident.to_string());
    let name = match &arguments.name {
        Some(name) => name.value(),
        None => ident.unwrap_or_default(),
    };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
        let message = "a type's name must be ASCII letters, digits, '_' or '.'";
        return Err(Error::new_spanned(&item.self_ty, message));
    }
    let points = item.items.iter().filter_map(|item| match item {
        ImplItem::Fn(method) => Some(method.sig.ident.to_string()),
        _ => None,
    });
    let points = points.filter(|name| !NOT_POINTS.contains(&name.as_str()));
    let points: Vec<_> = points.map(|name| format_ident!("{}", camel_case(&name))).collect();
    let priority = match arguments.priority {
        Some(number) => quote!(::core::option::Option::Some(#number)),
        None => quote!(::core::option::Option::None),
    };
    let cost_us = match &arguments.cost_us {
        Some(cost) => quote!(::core::option::Option::Some(#cost)),
        None => quote!(::core::option::Option::None),
    };
    let stability = arguments.stability.as_ref().map_or("stable".to_owned(), LitStr::value);
    let self_ty = &item.self_ty;
    Ok(quote! {
        #item

        #[automatically_derived]
        impl ::snaphook_plugin_api::host::HookType for #self_ty {
            const NAME: &'static str = #name;
            const SUMMARY: &'static str = <#self_ty as ::snaphook_plugin_api::Kwargs>::SUMMARY;
            const POINTS: &'static [::snaphook_plugin_api::HookPoint] =
                &[#(::snaphook_plugin_api::HookPoint::#points),*];
            const PRIORITY: ::core::option::Option<i64> = #priority;
            const COST_US: ::core::option::Option<u64> = #cost_us;
            const KWARGS_SCHEMA: &'static str = <#self_ty as ::snaphook_plugin_api::Kwargs>::SCHEMA;
            const STABILITY: &'static str = #stability;

            fn construct(
                kwargs: &str,
            ) -> ::core::result::Result<Self, ::snaphook_plugin_api::HookError> {
                ::snaphook_plugin_api::__private::construct::<Self>(
                    <Self as ::snaphook_plugin_api::host::HookType>::NAME,
                    kwargs,
                )
            }
        }
    })
}

fn camel_case(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('_').map(word).collect()
}
