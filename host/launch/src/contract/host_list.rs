//! SLURM's short forms: `node[01-03,07]` for machines, `2(x3),1` for tasks on each. Knows nothing of where they stand.
//!
//! ```
//! use snaphook_launch::hosts;
//!
//! assert_eq!(hosts("a[1-2]b,c")?, ["a1b", "a2b", "c"]);
//! # Ok::<(), String>(())
//! ```

/// More machines than any cluster has: what a list may grow to.
const MOST_HOSTS: usize = 1 << 17;

/// All machines of a list, in its order.
///
/// Errors: what is wrong with it, in words.
///
/// Source: the forms of `scontrol show hostnames`: brackets may stand several times in a name, and hold numbers and
/// ranges; leading zeros are kept.
pub fn hosts(list: &str) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for name in split_outside_brackets(list)? {
        all.extend(expand(name)?);
        if all.len() > MOST_HOSTS {
            return Err(format!("more than {MOST_HOSTS} machines"));
        }
    }
    if all.is_empty() { Err("no machine".to_owned()) } else { Ok(all) }
}

/// The first machine of a list.
///
/// Errors: as [`hosts`].
pub fn first_host(list: &str) -> Result<String, String> {
    hosts(list)?.into_iter().next().ok_or_else(|| "no machine".to_owned())
}

/// Commas between names count, commas in brackets do not.
fn split_outside_brackets(list: &str) -> Result<Vec<&str>, String> {
    let (mut depth, mut start, mut names) = (0_i32, 0, Vec::new());
    for (at, letter) in list.char_indices() {
        match letter {
            '[' => depth += 1,
            ']' => depth -= 1,
            ',' if depth == 0 => {
                names.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        if !(0..=1).contains(&depth) {
            return Err("brackets that do not match".to_owned());
        }
    }
    if depth != 0 {
        return Err("a bracket that is not closed".to_owned());
    }
    names.push(&list[start..]);
    match names.iter().find(|name| name.trim().is_empty()) {
        Some(_) => Err("an empty name".to_owned()),
        None => Ok(names.into_iter().map(str::trim).collect()),
    }
}

/// One name with its brackets resolved, the leftmost first.
fn expand(name: &str) -> Result<Vec<String>, String> {
    let Some((before, rest)) = name.split_once('[') else { return Ok(vec![name.to_owned()]) };
    let (inside, after) = rest.split_once(']').ok_or("a bracket that is not closed")?;
    let tails = expand(after)?;
    let mut all = Vec::new();
    for part in inside.split(',') {
        for number in numbers(part.trim())? {
            all.extend(tails.iter().map(|tail| format!("{before}{number}{tail}")));
            if all.len() > MOST_HOSTS {
                return Err(format!("more than {MOST_HOSTS} machines"));
            }
        }
    }
    Ok(all)
}

/// `01-03` is 01, 02, 03.
fn numbers(part: &str) -> Result<Vec<String>, String> {
    let parse = |text: &str| -> Result<usize, String> {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_plain);
        number.ok_or_else(|| format!("{text:?} is no number"))
    };
    let Some((first, last)) = part.split_once('-') else {
        parse(part)?;
        return Ok(vec![part.to_owned()]);
    };
    let (from, to) = (parse(first)?, parse(last)?);
    if to < from || to - from >= MOST_HOSTS {
        return Err(format!("{part:?} is no range"));
    }
    let width = first.len();
    Ok((from..=to).map(|number| format!("{number:0width$}")).collect())
}

/// Tasks on the machine of this number, of a list such as `2(x3),1`; `None` where the list does not say.
pub fn tasks_on(list: &str, machine: usize) -> Option<u32> {
    let mut seen = 0_usize;
    for part in list.split(',') {
        let (tasks, times) = match part.trim().split_once("(x") {
            Some((tasks, times)) => (tasks, times.strip_suffix(')')?.parse().ok()?),
            None => (part.trim(), 1),
        };
        let tasks: u32 = tasks.parse().ok()?;
        seen = seen.checked_add(times)?;
        if machine < seen {
            return Some(tasks);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_slurm_are_read() {
        for (list, expected) in [
            ("localhost", vec!["localhost"]),
            ("node[01-03,07]", vec!["node01", "node02", "node03", "node07"]),
            ("a,b[2],c", vec!["a", "b2", "c"]),
            ("r[1-2]n[09-10]", vec!["r1n09", "r1n10", "r2n09", "r2n10"]),
            ("gpu[8-11]-ib", vec!["gpu8-ib", "gpu9-ib", "gpu10-ib", "gpu11-ib"]),
            ("ip-10-0-0-1,ip-10-0-0-2", vec!["ip-10-0-0-1", "ip-10-0-0-2"]),
            ("n[099-101]", vec!["n099", "n100", "n101"]),
        ] {
            assert_eq!(hosts(list).unwrap(), expected, "{list}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused_and_takes_no_memory() {
        for wrong in [
            "",
            ",",
            "a,,b",
            "a[",
            "a]",
            "a[[1]]",
            "a[1-]",
            "a[x]",
            "a[3-1]",
            "a[]",
            "a[1,]",
            "a[0-99999999999]",
            "a[+1-2]",
            "a[0-999999][0-999999]",
        ] {
            assert!(hosts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tasks_of_a_machine_are_found() {
        assert_eq!(
            (0..5).map(|machine| tasks_on("2(x3),1", machine)).collect::<Vec<_>>(),
            [Some(2), Some(2), Some(2), Some(1), None]
        );
        assert_eq!(tasks_on("many", 0), None);
        assert_eq!(tasks_on("2(x", 0), None);
    }
}
