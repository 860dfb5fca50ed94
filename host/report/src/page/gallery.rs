//! A page of pictures with a few facts above them. Knows nothing of what is on the pictures.

use super::text::{base64, escape};
use super::{document, section};

/// A picture with what is written below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figure {
    /// The bytes of a JPEG or PNG file.
    pub bytes: Vec<u8>,
    /// The first line, in bold.
    pub title: String,
    /// Further lines.
    pub lines: Vec<String>,
}

/// All that is on a page of pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gallery {
    /// The heading.
    pub title: String,
    /// Names and values above the pictures.
    pub facts: Vec<(String, String)>,
    /// What to look at.
    pub warnings: Vec<String>,
    /// The pictures.
    pub figures: Vec<Figure>,
}

/// The page, as one file that needs nothing else; `source` is where it comes from.
pub fn gallery_page(gallery: &Gallery, source: &str) -> String {
    let figures: String = gallery.figures.iter().map(figure).collect();
    let body = [
        format!("<header><h1>{}</h1></header>\n", escape(&gallery.title)),
        warnings(&gallery.warnings),
        section("Facts", "", &facts(&gallery.facts)),
        section("Pictures", "pictures large", &figures),
    ];
    document(&gallery.title, &body.concat(), source)
}

fn warnings(warnings: &[String]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let item = |text: &String| format!("<li class=\"warn\">{}</li>", escape(text));
    format!("<ul class=\"notes\">{}</ul>\n", warnings.iter().map(item).collect::<String>())
}

fn facts(facts: &[(String, String)]) -> String {
    let row = |(name, value): &(String, String)| {
        format!("<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value))
    };
    if facts.is_empty() {
        return String::new();
    }
    let rows: String = facts.iter().map(row).collect();
    format!("<div class=\"card scroll\"><table>{rows}</table></div>")
}

fn figure(figure: &Figure) -> String {
    let kind = if figure.bytes.starts_with(b"\x89PNG") { "png" } else { "jpeg" };
    let lines: String = figure.lines.iter().map(|line| format!("<br>{}", escape(line))).collect();
    format!(
        "<figure><img src=\"data:image/{kind};base64,{}\" alt=\"{title}\" loading=\"lazy\">\
         <figcaption><b>{title}</b>{lines}</figcaption></figure>",
        base64(&figure.bytes),
        title = escape(&figure.title),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_pictures_and_no_markup_of_others() {
        let figure = Figure {
            bytes: b"\x89PNG...".to_vec(),
            title: "<b>.png".into(),
            lines: vec!["5 boxes".into()],
        };
        let gallery = Gallery {
            title: "a & b".into(),
            facts: vec![("pictures".into(), "1".into())],
            warnings: vec!["look".into()],
            figures: vec![figure],
        };
        let page = gallery_page(&gallery, "config.py");
        assert!(
            page.contains("<h1>a &amp; b</h1>") && page.contains("data:image/png;base64,iVBORy4u")
        );
        assert!(page.contains("<b>&lt;b&gt;.png</b><br>5 boxes") && page.contains("config.py"));
    }
}
