//! Bars beside each other, as SVG: a median with a whisker from the least to the greatest.

use std::fmt::Write;

use echo_client::page::escaped;

use crate::{contender::Kind, spread::Spread};

const WIDTH: f64 = 560.0;
/// Room for names, and for figures behind the longest bar.
const LEFT: f64 = 215.0;
const RIGHT: f64 = 70.0;
/// From one bar to the next.
const STEP: f64 = 24.0;
const THICK: f64 = 14.0;

/// One bar.
pub(super) struct Bar<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) value: Spread,
    /// Behind it.
    pub(super) told: String,
}

/// The picture with its title.
pub(super) fn to_html(title: &str, bars: &[Bar<'_>]) -> String {
    let most = bars.iter().map(|bar| bar.value.max).fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * (value / most).clamp(0.0, 1.0);
    let height = STEP * bars.len() as f64 + 6.0;
    let title = escaped(title);
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">"
    );
    for (at, bar) in bars.iter().enumerate() {
        let top = STEP * at as f64 + 5.0;
        let (text, middle) = (top + THICK - 2.0, top + THICK / 2.0);
        let Spread { min, median, max } = bar.value;
        let (name, told) = (escaped(bar.name), escaped(&bar.told));
        let colour = match bar.kind {
            Kind::Ours => "--c0",
            Kind::Peer => "--c1",
            Kind::Bare => "--c4",
        };
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{text:.1}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{THICK}\" \
             style=\"fill:var({colour});opacity:.75\"/>\
             <path class=\"axis\" d=\"M{:.1} {middle:.1}H{:.1}\"/>\
             <text x=\"{:.1}\" y=\"{text:.1}\">{told}</text>",
            LEFT - 8.0,
            x(median) - LEFT,
            x(min),
            x(max),
            x(max) + 6.0,
        );
    }
    format!("<figure><figcaption><h2>{title}</h2></figcaption>{svg}</svg></figure>\n")
}
