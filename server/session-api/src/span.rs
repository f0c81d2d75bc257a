//! Spans of time and sizes, as people write and read them.

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `90s`, `30m`, `2h` or `1d` in seconds.
///
/// # Errors
/// Where it is none of these.
pub(crate) fn parse(text: &str) -> Result<u32, String> {
    let odd = || format!("{text:?} is no span of time; write one such as 30m, 2h or 1d");
    let last = text.chars().last().ok_or_else(odd)?;
    let unit = match last {
        's' => 1,
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        _ => return Err(odd()),
    };
    let number = text.strip_suffix(last).unwrap_or_default();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = number.parse().ok().filter(|_| is_number).ok_or_else(odd)?;
    let seconds = count.checked_mul(unit).and_then(|seconds| u32::try_from(seconds).ok());
    seconds.ok_or_else(|| format!("{text:?} is longer than anything lasts; write one such as 2h"))
}

/// A span in its largest units.
pub(crate) fn words(seconds: u64) -> String {
    let two = |large: u64, name, small: u64, other| match seconds % large / small {
        0 => format!("{} {name}", seconds / large),
        rest => format!("{} {name} {rest} {other}", seconds / large),
    };
    match seconds {
        0..MINUTE => "less than a minute".into(),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => two(HOUR, "h", MINUTE, "min"),
        DAY.. => two(DAY, "d", HOUR, "h"),
    }
}

/// A size in its largest unit of 1024.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut count = bytes as f64 / 1024.0;
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if count < 1024.0 {
            break;
        }
        (count, unit) = (count / 1024.0, larger);
    }
    if count < 10.0 { format!("{count:.1} {unit}") } else { format!("{count:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_a_number_and_a_unit() {
        assert_eq!(["90s", "30m", "2h", "1d"].map(parse), [90, 1800, 7200, 86_400].map(Ok));
        for bad in [
            "",
            "h",
            "2",
            "-1h",
            "+1h",
            "1.5h",
            "2 h",
            "2weeks",
            "99999999999999999999h",
            "49711d",
            "2é",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_and_sizes_are_read_at_a_glance() {
        let spans = [0, 60, 3599, 3600, 7500, 90_000].map(words);
        assert_eq!(spans, ["less than a minute", "1 min", "59 min", "1 h", "2 h 5 min", "1 d 1 h"]);
        let sizes = [0, 1023, 1024, 5 << 20, 300 << 20, 3 << 40].map(bytes);
        assert_eq!(sizes, ["0 bytes", "1023 bytes", "1.0 KiB", "5.0 MiB", "300 MiB", "3.0 TiB"]);
    }
}
