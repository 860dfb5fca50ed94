//! A machine and a port. Knows nothing of who listens there.

use std::fmt;
use std::str::FromStr;

/// Where machine 0 is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address, an IPv6 one without brackets.
    pub host: String,
    /// From 1.
    pub port: u16,
}

/// torch's usual port.
pub(crate) const USUAL_PORT: u16 = 29_500;

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoint { host, port } = self;
        if host.contains(':') {
            write!(formatter, "[{host}]:{port}")
        } else {
            write!(formatter, "{host}:{port}")
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Endpoint, String> {
        let expected = || {
            format!(
                "expected HOST or HOST:PORT, found {text:?} (an IPv6 address in brackets: [::1]:29500)"
            )
        };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(expected)?;
                let has_port = !after.is_empty();
                (host, has_port.then(|| after.strip_prefix(':').ok_or_else(expected)).transpose()?)
            }
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(USUAL_PORT), |port| port.parse().map_err(|_| expected()))?;
        if host.is_empty() || port == 0 {
            return Err(expected());
        }
        Ok(Endpoint { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_an_endpoint_and_back() {
        for text in ["node1:29400", "10.0.0.1:1", "[fe80::1]:29500"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!("node1".parse::<Endpoint>().unwrap().port, USUAL_PORT);
        assert_eq!("[::1]".parse::<Endpoint>().unwrap().to_string(), "[::1]:29500");
        for wrong in ["", ":1", "a:0", "a:b", "a:70000", "[::1", "::1", "fe80::1:29500", "[::1]9"] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }
}
