//! Upper and lower case, for the methods of strings. Knows nothing of values.

/// Letters after those for which `begins` holds are upper case, the rest lower; the first comes
/// after `'\0'`.
pub(super) fn recased(text: &str, begins: fn(char) -> bool) -> String {
    let mut before = '\0';
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if begins(before) {
            out.extend(letter.to_uppercase());
        } else {
            out.extend(letter.to_lowercase());
        }
        before = letter;
    }
    out
}

/// Upper case becomes lower case, and the other way round.
pub(super) fn swapped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_uppercase() {
            out.extend(letter.to_lowercase());
        } else {
            out.extend(letter.to_uppercase());
        }
    }
    out
}
