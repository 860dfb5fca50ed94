//! The manifest of a plugin: JSON, built when the plugin is compiled, in an ELF note of its `.so`.
//! Knows nothing of how a host reads it.

use crate::HookPoint;

/// Owner of the note, with its terminator and padding.
pub const NOTE_OWNER: [u8; 12] = *b"Snaphook\0\0\0\0";
/// Length of the owner, terminator included.
pub const NOTE_OWNER_LENGTH: u32 = 9;
/// Type of the note: "SnHk".
pub const NOTE_TYPE: u32 = 0x536e_486b;
/// Most bytes that a manifest may have.
pub const MAX_LENGTH: usize = 64 * 1024;

/// An ELF note with a description of `N` bytes, padding included.
#[repr(C)]
pub struct Note<const N: usize> {
    owner_length: u32,
    length: u32,
    kind: u32,
    owner: [u8; 12],
    json: [u8; N],
}

impl<const N: usize> Note<N> {
    /// The note of a text; `N` is its [`Text::padded_length`].
    pub const fn new(text: &Text) -> Note<N> {
        let mut json = [0; N];
        let mut index = 0;
        while index < text.length {
            json[index] = text.bytes[index];
            index += 1;
        }
        Note {
            owner_length: NOTE_OWNER_LENGTH,
            length: text.length as u32,
            kind: NOTE_TYPE,
            owner: NOTE_OWNER,
            json,
        }
    }
}

/// What a plugin's package says of itself, as Cargo knows it.
pub struct Package {
    /// `CARGO_PKG_NAME`.
    pub name: &'static str,
    /// `CARGO_PKG_VERSION`.
    pub version: &'static str,
    /// `CARGO_PKG_DESCRIPTION`.
    pub description: &'static str,
    /// `CARGO_PKG_LICENSE`.
    pub license: &'static str,
    /// `CARGO_PKG_REPOSITORY`.
    pub repository: &'static str,
    /// `CARGO_PKG_AUTHORS`, separated by colons.
    pub authors: &'static str,
    /// Whether a panic ends the process.
    pub aborts_on_panic: bool,
    /// Whether debug assertions are in.
    pub has_debug_assertions: bool,
    /// What it cannot live without.
    pub needs: Needs,
}

/// What a plugin cannot live without.
#[derive(Clone, Copy)]
pub struct Needs {
    api: &'static str,
    extensions: &'static [&'static str],
    libtorch: Option<&'static str>,
}

impl Needs {
    /// Any host of this major number.
    pub const NOTHING: Needs = Needs { api: "1.0", extensions: &[], libtorch: None };

    /// The oldest contract that the plugin works with, `1.N`, at most the one that it is built with.
    pub const fn needs_api(mut self, version: &'static str) -> Needs {
        let minor = minor_of_major_1(version.as_bytes());
        assert!(minor <= crate::abi::API_VERSION.1, "needs_api: newer than this plugin-api");
        self.api = version;
        self
    }

    /// Ids of extensions that the host must have.
    pub const fn needs_extensions(mut self, ids: &'static [&'static str]) -> Needs {
        self.extensions = ids;
        self
    }

    /// The libtorch, as `2.11`, that the plugin links.
    pub const fn needs_libtorch(mut self, version: &'static str) -> Needs {
        self.libtorch = Some(version);
        self
    }
}

/// The number behind `1.`.
const fn minor_of_major_1(version: &[u8]) -> u32 {
    let mut minor = 0;
    let mut index = 2;
    assert!(version.len() > 2 && version[0] == b'1' && version[1] == b'.', "expected 1.N");
    while index < version.len() {
        assert!(version[index].is_ascii_digit(), "expected 1.N");
        minor = minor * 10 + (version[index] - b'0') as u32;
        index += 1;
    }
    minor
}

/// Text that grows in a constant.
pub struct Text {
    bytes: [u8; MAX_LENGTH],
    length: usize,
}

impl Text {
    /// The manifest up to the list of types.
    pub const fn manifest(package: &Package) -> Text {
        Text { bytes: [0; MAX_LENGTH], length: 0 }
            .raw("{\"manifest_version\":1,\"api\":{\"built\":\"")
            .raw(concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR")))
            .raw("\",\"min\":")
            .string(package.needs.api)
            .raw("},\"plugin\":{\"name\":")
            .string(package.name)
            .raw(",\"version\":")
            .string(package.version)
            .raw(",\"description\":")
            .string(package.description)
            .raw(",\"license\":")
            .string(package.license)
            .raw(",\"repository\":")
            .string(package.repository)
            .raw(",\"authors\":")
            .string(package.authors)
            .raw("},\"build\":{\"target\":")
            .string(env!("SNAPHOOK_TARGET"))
            .raw(",\"rustc\":")
            .string(env!("SNAPHOOK_RUSTC"))
            .raw(",\"profile\":")
            .string(env!("SNAPHOOK_PROFILE"))
            .raw(",\"opt_level\":")
            .string(env!("SNAPHOOK_OPT_LEVEL"))
            .raw(",\"panic\":")
            .string(if package.aborts_on_panic { "abort" } else { "unwind" })
            .raw(",\"debug_assertions\":")
            .raw(if package.has_debug_assertions { "true" } else { "false" })
            .raw(",\"abi_stable\":\"0.11\"},\"needs\":{\"libtorch\":")
            .string_or_null(package.needs.libtorch)
            .raw(",\"host_extensions\":[")
            .strings(package.needs.extensions)
            .raw("]},\"types\":[")
    }

    /// One more type in the list.
    pub const fn hook<H: crate::host::HookType>(self, is_first: bool) -> Text {
        let text = self
            .raw(if is_first { "" } else { "," })
            .raw("{\"kind\":\"hook\",\"name\":")
            .string(H::NAME)
            .raw(",\"summary\":")
            .string(H::SUMMARY)
            .raw(",\"stability\":")
            .string(H::STABILITY)
            .raw(",\"points\":[")
            .points(H::POINTS)
            .raw("],\"priority\":");
        let text = match H::PRIORITY {
            Some(priority) => text.number(priority),
            None => text.raw("null"),
        };
        let text = match H::COST_US {
            Some(cost) => text.raw(",\"cost_us\":").number(cost as i64),
            None => text,
        };
        text.raw(",\"kwargs_schema\":").raw(H::KWARGS_SCHEMA).raw("}")
    }

    /// The end of the manifest.
    pub const fn end(self) -> Text {
        self.raw("]}")
    }

    /// The length, rounded up as a note needs it.
    pub const fn padded_length(&self) -> usize {
        (self.length + 3) / 4 * 4
    }

    /// The text so far.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    const fn byte(mut self, byte: u8) -> Text {
        assert!(
            self.length < MAX_LENGTH,
            "the manifest is longer than 64 KiB: shorten the documentation"
        );
        self.bytes[self.length] = byte;
        self.length += 1;
        self
    }

    const fn raw(mut self, text: &str) -> Text {
        let bytes = text.as_bytes();
        let end = self.length + bytes.len();
        assert!(end <= MAX_LENGTH, "the manifest is longer than 64 KiB: shorten the documentation");
        let mut index = 0;
        while index < bytes.len() {
            self.bytes[self.length + index] = bytes[index];
            index += 1;
        }
        self.length = end;
        self
    }

    const fn string(mut self, text: &str) -> Text {
        self = self.byte(b'"');
        let bytes = text.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            let byte = bytes[index];
            self = match byte {
                b'"' => self.raw("\\\""),
                b'\\' => self.raw("\\\\"),
                0..=0x1f => self.byte(b' '),
                _ => self.byte(byte),
            };
            index += 1;
        }
        self.byte(b'"')
    }

    const fn string_or_null(self, text: Option<&str>) -> Text {
        match text {
            Some(text) => self.string(text),
            None => self.raw("null"),
        }
    }

    const fn strings(mut self, texts: &[&str]) -> Text {
        let mut index = 0;
        while index < texts.len() {
            if index > 0 {
                self = self.byte(b',');
            }
            self = self.string(texts[index]);
            index += 1;
        }
        self
    }

    const fn points(mut self, points: &[HookPoint]) -> Text {
        let mut index = 0;
        while index < points.len() {
            if index > 0 {
                self = self.byte(b',');
            }
            self = self.string(points[index].name());
            index += 1;
        }
        self
    }

    /// A number from 0 to 100, as priorities are.
    const fn number(self, number: i64) -> Text {
        let text = if number >= 10 { self.number(number / 10) } else { self };
        text.byte(b'0' + (number % 10) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::{Needs, Package, Text};

    #[test]
    fn what_a_plugin_needs_stands_in_its_manifest() {
        let needs = Needs::NOTHING.needs_api("1.0").needs_libtorch("2.11");
        let package = Package {
            name: "crop \"hooks\"",
            version: "0.1.0",
            description: "",
            license: "",
            repository: "",
            authors: "",
            aborts_on_panic: false,
            has_debug_assertions: true,
            needs: needs.needs_extensions(&["snaphook.model/1", "org.crop/2"]),
        };
        let text = Text::manifest(&package).end();
        let json: serde_json::Value = serde_json::from_str(text.as_str()).unwrap();
        assert_eq!(json["plugin"]["name"], "crop \"hooks\"");
        assert_eq!(json["api"]["min"], "1.0");
        assert_eq!(json["needs"]["libtorch"], "2.11");
        assert_eq!(json["needs"]["host_extensions"][1], "org.crop/2");
        assert_eq!(json["types"], serde_json::json!([]));
    }
}
