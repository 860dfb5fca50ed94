//! Text and numbers for a page. Knows nothing of runs.

/// Text with the letters of HTML's own language escaped; fit for attributes as well.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            // Sequences of a terminal are no text.
            letter if letter.is_control() && letter != '\n' && letter != '\t' => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

/// JSON inside of a script element: nothing in it may end the element.
pub(super) fn json_in_script(json: &serde_json::Value) -> String {
    json.to_string().replace("</", "<\\/").replace("<!--", "<\\!--")
}

/// A number of about four digits, as people write it.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return if value.is_nan() { "NaN".to_owned() } else { format!("{value}") };
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e5).contains(&size) {
        let text = format!("{value:.2e}");
        return trimmed(&text, 'e');
    }
    let digits = (3 - size.log10().floor() as i32).clamp(0, 5) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Rising numbers with as many digits as it takes to tell them apart.
pub(super) fn numbers_apart(values: &[f64]) -> Vec<String> {
    let short: Vec<String> = values.iter().map(|value| number(*value)).collect();
    let gap = values.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    if short.windows(2).all(|pair| pair[0] != pair[1]) || gap <= 0.0 {
        return short;
    }
    let digits = (-gap.log10().floor()).clamp(0.0, 12.0) as usize;
    values.iter().map(|value| format!("{value:.digits$}")).collect()
}

/// `1.20e-5` is `1.2e-5`.
fn trimmed(text: &str, mark: char) -> String {
    match text.split_once(mark) {
        Some((digits, rest)) if digits.contains('.') => {
            let digits = digits.trim_end_matches('0').trim_end_matches('.');
            format!("{digits}{mark}{rest}")
        }
        _ => text.to_owned(),
    }
}

/// A count with thin spaces between thousands.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `3.2 s`, `4 min 05 s`, `2 h 03 min`, `1 d 4 h`.
pub(super) fn duration(seconds: f64) -> String {
    let total = seconds.max(0.0) as u64;
    match total {
        0..60 if seconds < 1.0 => format!("{:.0} ms", seconds.max(0.0) * 1e3),
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", total / 60, total % 60),
        3600..86_400 => format!("{} h {:02} min", total / 3600, total / 60 % 60),
        _ => format!("{} d {} h", total / 86_400, total / 3600 % 24),
    }
}

/// `12.3 it/s`, or `2.1 s/it` when iterations are long.
pub(super) fn rate(per_second: f64) -> String {
    if per_second >= 1.0 {
        format!("{} it/s", number(per_second))
    } else {
        format!("{} s/it", number(1.0 / per_second))
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as base64, for `data:` addresses.
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place)) & 63;
            out.push(if place <= chunk.len() { ALPHABET[sextet as usize] as char } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_next_to_each_other_are_told_apart() {
        assert_eq!(numbers_apart(&[0.1, 0.2]), ["0.1", "0.2"]);
        assert_eq!(numbers_apart(&[10.6502, 10.6504]), ["10.6502", "10.6504"]);
    }

    #[test]
    fn numbers_are_as_people_write_them() {
        let pairs = [
            (0.0, "0"),
            (0.50072, "0.5007"),
            (12.0, "12"),
            (1234.56, "1235"),
            (-0.25, "-0.25"),
            (1.5e-7, "1.5e-7"),
            (0.002, "0.002"),
            (250_000.0, "2.5e5"),
            (f64::NAN, "NaN"),
            (100.0, "100"),
        ];
        for (value, text) in pairs {
            assert_eq!(number(value), text);
        }
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(
            [duration(0.25), duration(65.0), duration(90_061.0)],
            ["250 ms", "1 min 05 s", "1 d 1 h"]
        );
        assert_eq!([rate(12.34), rate(0.5)], ["12.34 it/s", "2 s/it"]);
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<b a='\"'>&\x1b[31m"), "&lt;b a=&#39;&quot;&#39;&gt;&amp; [31m");
        let json = serde_json::json!({ "name": "</script><!--" });
        let text = json_in_script(&json);
        assert!(!text.contains("</script") && !text.contains("<!--"), "{text}");
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in pairs {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
