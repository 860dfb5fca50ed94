//! The procedural macros of `snaphook-plugin-api`; their documentation is there. Knows nothing of the ABI.

mod hook;
mod json;
mod kind;
mod kwargs;

use proc_macro::TokenStream;

/// Makes a type constructible from the keyword arguments of a config; see the trait `Kwargs`.
#[proc_macro_derive(Kwargs, attributes(kwarg))]
pub fn derive_kwargs(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    kwargs::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Put before `impl Hook for T`: records which points the methods are for, so that the others cost
/// nothing, and the name, the default priority and the stability that a config or a listing shows.
///
/// `#[hook(name = "…", priority = "LOW" or 48, stability = "experimental", cost_us = 50)]`; all parts are optional. `cost_us`
/// is the most that a call takes on a usual machine, in microseconds; `snaphook plugins check --conformance` measures it.
#[proc_macro_attribute]
pub fn hook(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = syn::parse_macro_input!(arguments as hook::Arguments);
    let item = syn::parse_macro_input!(item as syn::ItemImpl);
    hook::expand(&arguments, &item).unwrap_or_else(|error| error.to_compile_error()).into()
}
