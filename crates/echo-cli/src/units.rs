//! Sizes and durations as people write them.

use std::time::Duration;

use bytesize::ByteSize;

/// Parses `1048576`, `64KiB` (1024s) or `8MB` (1000s) to bytes.
///
/// # Errors
/// A sentence with an example, when `text` is no size or more than this machine can address.
pub fn size(text: &str) -> Result<usize, String> {
    let ByteSize(bytes) = text
        .parse()
        .map_err(|_| "not a size; use bytes or a unit, as in 512, 64KiB or 8MB".to_owned())?;
    usize::try_from(bytes).map_err(|_| "more than this machine can address".to_owned())
}

/// The longest duration taken, so that adding it to a time never overflows: ten years.
const MAX_DURATION: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// Parses `250ms`, `5s` or `1m 30s`.
///
/// # Errors
/// A sentence with an example, when `text` is no duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|_| {
        "not a duration; use a number with a unit, as in 250ms, 5s or 2m".to_owned()
    })?;
    if duration > MAX_DURATION {
        return Err("more than ten years".to_owned());
    }
    Ok(duration)
}

/// As [`duration`], but not zero: for waits that cannot be switched off.
///
/// # Errors
/// As [`duration`].
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("has to be more than nothing".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_take_units_and_say_how() {
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("8MB"), Ok(8_000_000));
        for bad in ["", "-1", "64 parsecs", "0x10"] {
            assert!(size(bad).unwrap_err().contains("64KiB"), "{bad}");
        }
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "5", "-1s", "soon"] {
            assert!(duration(bad).unwrap_err().contains("250ms"), "{bad}");
        }
        assert!(duration("100000y").is_err());
        assert!(positive_duration("0s").is_err());
    }
}
