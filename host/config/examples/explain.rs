//! Resolves a config, says where its values come from, and what a changed variable no longer reaches.
//!
//! ```sh
//! cargo run -p snaphook-config --example explain -- my_config.py model.bbox_head.num_classes
//! ```

use std::error::Error;
use std::path::Path;

use snaphook_config::{Config, LoadOptions, Resolver, nearest};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: explain CONFIG [KEY] [KEY=VALUE ...]";
    let path = arguments.next().ok_or(usage)?;
    let (overrides, keys): (Vec<String>, Vec<String>) =
        arguments.partition(|argument| argument.contains('='));

    let resolver = Resolver::new(LoadOptions { overrides, ..Default::default() });
    let config = resolver.load(Path::new(&path))?;
    config.warnings().iter().for_each(|warning| eprintln!("warning: {warning}"));
    if keys.is_empty() {
        println!("{}", config.to_python());
    }
    for key in keys {
        tell(&resolver, &config, &key)?;
    }
    Ok(())
}

/// Every file, line and override that wrote a value.
fn tell(resolver: &Resolver, config: &Config, key: &str) -> Result<(), Box<dyn Error>> {
    if config.get(key).is_none() {
        let (above, last) = key.rsplit_once('.').unwrap_or(("", key));
        let holder = if above.is_empty() { Some(config.value()) } else { config.get(above) };
        let known = holder.and_then(|value| value.as_object()).into_iter().flatten();
        let hint = nearest(last, known.map(|(name, _)| name.as_str()));
        println!(
            "{key}: not there{}",
            hint.map_or(String::new(), |name| format!(", perhaps `{name}`"))
        );
        return Ok(());
    }
    print!("{}", resolver.explain(config.path(), key)?);
    Ok(())
}
