//! Figures as people read them: three digits and a unit. Whatever is printed for people gets its units
//! here, so that a figure reads the same in a line, a table and a page.

use std::time::Duration;

/// Nanoseconds: `812 ns`, `45.2 µs`, `1.23 ms`, `12.4 s`, `3.2 min`.
pub(crate) fn time(ns: f64) -> String {
    const UNITS: [(f64, &str); 5] =
        [(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s"), (60e9, "min")];
    scaled(ns, &UNITS)
}

/// The same of a duration.
pub(crate) fn duration(duration: Duration) -> String {
    time(duration.as_secs_f64() * 1e9)
}

/// Bytes, in steps of 1024: `512 B`, `64 KiB`.
pub(crate) fn bytes(bytes: f64) -> String {
    const KI: f64 = 1024.0;
    const UNITS: [(f64, &str); 5] = [
        (1.0, "B"),
        (KI, "KiB"),
        (KI * KI, "MiB"),
        (KI * KI * KI, "GiB"),
        (KI * KI * KI * KI, "TiB"),
    ];
    scaled(bytes, &UNITS)
}

/// Per second: `812/s`, `45.2 k/s`.
pub(crate) fn rate(per_second: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1.0, "/s"), (1e3, "k/s"), (1e6, "M/s"), (1e9, "G/s")];
    scaled(per_second, &UNITS)
}

/// Digits in groups of three: `12,345,678`.
pub(crate) fn count(count: u64) -> String {
    grouped(&count.to_string())
}

/// The same of what need not be whole: `12,345,678`, and below 100 to the tenth, `7.5`.
pub(crate) fn number(number: f64) -> String {
    let digits = if number < 100.0 { 1 } else { 0 };
    let plain = format!("{number:.digits$}");
    match plain.trim_end_matches(".0").split_once('.') {
        Some((whole, tenth)) => format!("{}.{tenth}", grouped(whole)),
        None => grouped(plain.trim_end_matches(".0")),
    }
}

fn grouped(digits: &str) -> String {
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A percentile's name: `p99.9`.
pub(crate) fn percentile(percent: f64) -> String {
    format!("p{percent}")
}

/// A change as a share: `+12.3 %`; of over tenfold, `x 12.3`.
pub(crate) fn change(ratio: f64) -> String {
    if ratio >= 10.0 {
        return format!("x {}", digits(ratio));
    }
    let percent = (ratio - 1.0) * 100.0;
    if percent.abs() < 0.05 {
        return "0 %".to_owned();
    }
    let sign = if percent < 0.0 { '\u{2212}' } else { '+' };
    format!("{sign}{} %", digits(percent.abs()))
}

/// From one time to another: `1.2 ms to 3.4 ms`, or one where they read the same.
pub(crate) fn range(low: f64, high: f64) -> String {
    let (low, high) = (time(low), time(high));
    if low == high { low } else { format!("{low} to {high}") }
}

/// In the largest unit that leaves one or more before the point.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    // Rounding may carry over into the next unit: 999.96 µs is 1 ms, and 999.4 µs is not.
    let reaches = |unit: f64| value / unit >= 0.9995;
    let known = units.iter().rev().find(|(unit, _)| reaches(*unit)).or(units.first());
    let (unit, name) = known.copied().unwrap_or((1.0, ""));
    let space = if name.starts_with('/') { "" } else { " " };
    format!("{}{space}{name}", digits(value / unit))
}

/// Three digits, more only before the point, and no zeros at the end of a fraction.
fn digits(value: f64) -> String {
    let text = match value {
        value if value >= 99.95 => return format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        for (ns, shown) in [
            (0.0, "0 ns"),
            (812.0, "812 ns"),
            (999.0, "999 ns"),
            (999.4, "999 ns"),
            (999_400.0, "999 µs"),
            (999.96, "1 µs"),
            (9_994.0, "9.99 µs"),
            (9_996.0, "10 µs"),
            (99_960.0, "100 µs"),
            (20_000_000.0, "20 ms"),
            (45_230.0, "45.2 µs"),
            (1_234_567.0, "1.23 ms"),
            (12_400_000_000.0, "12.4 s"),
            (192e9, "3.2 min"),
            (3600e9, "60 min"),
        ] {
            assert_eq!(time(ns), shown);
        }
        assert_eq!(duration(Duration::from_millis(250)), "250 ms");
        assert_eq!(bytes(65536.0), "64 KiB");
        assert_eq!(bytes(1023.0), "1023 B");
        assert_eq!(rate(138_240.0), "138 k/s");
        assert_eq!(rate(12.0), "12/s");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        for (value, shown) in [
            (0.5, "0.5"),
            (7.0, "7"),
            (100.4, "100"),
            (1234.0, "1,234"),
            (1_234_567.8, "1,234,568"),
        ] {
            assert_eq!(number(value), shown);
        }
        assert_eq!(change(1.123), "+12.3 %");
        assert_eq!(change(0.5), "\u{2212}50 %");
        assert_eq!(change(12.3), "x 12.3");
        assert_eq!(change(1.00001), "0 %");
        assert_eq!(percentile(99.9), "p99.9");
    }
}
