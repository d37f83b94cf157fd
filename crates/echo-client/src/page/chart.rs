//! Lines over an axis, as SVG.
//!
//! Colours and text sizes are the page's (`style.css`), so that one picture serves light and dark,
//! wide and narrow. Lines differ in dashes as well as in colour.

use std::fmt::Write;

use super::escaped;

const WIDTH: f64 = 560.0;
/// Room for labels around the lines.
const LEFT: f64 = 80.0;
const TOP: f64 = 14.0;
const RIGHT: f64 = 18.0;
const BOTTOM: f64 = 58.0;

/// Ticks beyond which an axis gets fewer.
const MAX_TICKS: usize = 8;

/// A picture of lines.
#[derive(Debug)]
pub struct Chart {
    /// Tells its parts from those of other charts of the page; letters only.
    pub id: &'static str,
    /// Above it.
    pub title: String,
    /// What is to be seen, for those who do not see it.
    pub told: String,
    /// Of a picture that is 560 wide.
    pub height: f64,
    /// From left to right.
    pub x: Axis,
    /// From below.
    pub y: Axis,
    /// The last one on top.
    pub lines: Vec<Line>,
    /// Stretches of x that are marked.
    pub bands: Vec<(f64, f64)>,
}

/// A scale with ticks.
#[derive(Debug)]
pub struct Axis {
    scale: Scale,
    /// Below the axis of x; that of y has its unit in its labels.
    name: &'static str,
    ticks: Vec<(f64, String)>,
}

#[derive(Debug, Clone, Copy)]
enum Scale {
    Linear(f64, f64),
    Log(f64, f64),
    /// From 0 % on; each nine takes the same room, up to so many of them.
    Nines(f64),
}

/// A line, with gaps where there is nothing to tell.
#[derive(Debug)]
pub struct Line {
    /// In the legend; lines without a name belong to one with.
    pub name: Option<String>,
    /// Of the style sheet: `s0` to `s4`, `dashed`, `dotted`, `thin`, `unsure`.
    pub class: String,
    /// As values of both axes.
    pub points: Vec<Option<(f64, f64)>>,
}

impl Axis {
    /// Values that differ by orders of magnitude; all of them more than 0.
    #[must_use]
    pub fn log(values: impl Iterator<Item = f64>, label: fn(f64) -> String) -> Self {
        let (low, high) = bounds(values.filter(|value| *value > 0.0)).unwrap_or((1.0, 10.0));
        let first = step_at(low * 1.000_001, -1);
        // At least three ticks, or a flat line would look like noise.
        let mut steps: Vec<f64> = vec![first];
        let mut last = first;
        while (last < high || steps.len() < 3) && steps.len() < 64 {
            last = step_at(last, 1);
            steps.push(last);
        }
        let scale = Scale::Log(first, last);
        if steps.len() > MAX_TICKS {
            let is_decade = |step: &f64| (step.log10() - step.log10().round()).abs() < 1e-9;
            steps.retain(is_decade);
        }
        Self { scale, name: "", ticks: steps.into_iter().map(|step| (step, label(step))).collect() }
    }

    /// The same with its name below.
    #[must_use]
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// From 0, or from where values begin.
    #[must_use]
    pub fn linear(
        name: &'static str,
        from: f64,
        to: f64,
        fits: bool,
        label: impl Fn(f64) -> String,
    ) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        let mut step = 10f64.powf(((to - from) / 6.0).log10().ceil());
        for finer in [0.2, 0.5] {
            if (to - from) / (step * finer) <= 6.0 {
                step *= finer;
                break;
            }
        }
        let count = ((to - from) / step + if fits { 1e-9 } else { 1.0 - 1e-9 }).floor();
        let end = if fits { to } else { from + count * step };
        let ticks = (0_u32..=16).map(f64::from).take_while(|at| *at <= count);
        let ticks = ticks.map(|at| from + at * step).map(|tick| (tick, label(tick))).collect();
        Self { scale: Scale::Linear(from, end), name, ticks }
    }

    /// Shares from 0 to so close to 1 that `samples` have something to say.
    pub(super) fn nines(name: &'static str, samples: u64) -> Self {
        let nines = (samples.max(10) as f64).log10();
        let mut ticks = vec![(0.5, "50".to_owned())];
        for at in (1_i32..).take_while(|at| f64::from(*at) <= nines) {
            let share = 1.0 - 10f64.powi(-at);
            ticks.push((
                share,
                format!("{:.*}", usize::try_from(at - 2).unwrap_or(0), share * 100.0),
            ));
        }
        Self { scale: Scale::Nines(nines), name, ticks }
    }

    fn at(&self, value: f64) -> f64 {
        let at = match self.scale {
            Scale::Linear(from, to) => (value - from) / (to - from),
            Scale::Log(from, to) => (value / from).ln() / (to / from).ln(),
            Scale::Nines(nines) => -(1.0 - value).max(1e-30).log10() / nines,
        };
        at.clamp(0.0, 1.0)
    }
}

impl Chart {
    /// The picture with its title and legend.
    #[must_use]
    pub fn to_html(&self) -> String {
        let height = self.height;
        let (left, top, right, bottom) = (LEFT, TOP, WIDTH - RIGHT, height - BOTTOM);
        let x = |value: f64| left + (right - left) * self.x.at(value);
        let y = |value: f64| bottom - (bottom - top) * self.y.at(value);
        let (id, title, told) = (self.id, escaped(&self.title), escaped(&self.told));
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-desc\"><title id=\"{id}-title\">{title}</title>\
             <desc id=\"{id}-desc\">{told}</desc>"
        );
        for (tick, label) in &self.y.ticks {
            let (at, label) = (y(*tick), escaped(label));
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{left} {at:.1}H{right}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                left - 8.0,
                at + 5.0
            );
        }
        for (tick, label) in &self.x.ticks {
            let (at, label) = (x(*tick), escaped(label));
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{at:.1} {top}V{bottom}\"/>\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                bottom + 21.0
            );
        }
        for (from, to) in &self.bands {
            let (from, to) = (x(*from), x(*to));
            let (width, height) = ((to - from).max(1.5), bottom - top);
            let _ = write!(
                svg,
                "<rect class=\"band\" x=\"{from:.1}\" y=\"{top}\" width=\"{width:.1}\" \
                 height=\"{height}\"/>"
            );
        }
        let _ = write!(
            svg,
            "<path class=\"axis\" d=\"M{left} {top}V{bottom}H{right}\"/>\
             <text x=\"{right}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            height - 10.0,
            escaped(self.x.name)
        );
        for line in &self.lines {
            let _ = write!(svg, "<path class=\"line {}\" d=\"{}\"/>", line.class, line.path(x, y));
        }
        svg.push_str("</svg>");
        let legend = self.legend();
        format!("<figure><figcaption><h2>{title}</h2>{legend}</figcaption>{svg}</figure>\n")
    }

    fn legend(&self) -> String {
        let mut items = String::new();
        for line in &self.lines {
            if let Some(name) = &line.name {
                let (class, name) = (&line.class, escaped(name));
                let _ = write!(
                    items,
                    "<li><svg viewBox=\"0 0 36 14\" aria-hidden=\"true\">\
                     <path class=\"line {class}\" d=\"M2 7H34\"/></svg>{name}</li>"
                );
            }
        }
        if !self.bands.is_empty() {
            items.push_str(
                "<li><svg viewBox=\"0 0 36 14\" aria-hidden=\"true\">\
                 <rect class=\"band\" x=\"2\" width=\"32\" height=\"14\"/></svg>stood still</li>",
            );
        }
        format!("<ul class=\"legend\">{items}</ul>")
    }
}

impl Line {
    /// The points as a path; a point with gaps on both sides is a dot.
    fn path(&self, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
        let mut path = String::new();
        let mut is_open = false;
        for (at, point) in self.points.iter().enumerate() {
            if let Some((px, py)) = point {
                let command = if is_open { 'L' } else { 'M' };
                let _ = write!(path, "{command}{:.1} {:.1}", x(*px), y(*py));
                let is_alone = !is_open && self.points.get(at + 1).is_none_or(Option::is_none);
                if is_alone {
                    path.push_str("h.1");
                }
            }
            is_open = point.is_some();
        }
        path
    }
}

/// The next of 1, 2, 5, 10, 20, ... above (`way` 1), or the one at or below (`way` -1).
#[expect(clippy::cast_possible_truncation, reason = "no f64 has more than 633 decades")]
fn step_at(value: f64, way: i32) -> f64 {
    let decade = value.log10().floor() as i32;
    let steps = (decade - 1..=decade + 1)
        .flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * 10f64.powi(decade)));
    let steps: Vec<f64> = steps.collect();
    let found = if way > 0 {
        steps.iter().find(|step| **step > value * 1.000_001)
    } else {
        steps.iter().rev().find(|step| **step <= value)
    };
    found.copied().unwrap_or(value)
}

/// The least and the greatest.
pub(super) fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |bounds, value| {
        let (low, high) = bounds.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| &**label).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        let log =
            |low: f64, high: f64| Axis::log([low, high].into_iter(), |value| format!("{value}"));
        assert_eq!(labels(&log(30.0, 45.0)), ["20", "50", "100"]);
        assert_eq!(labels(&log(50.0, 100.0)), ["50", "100", "200"]);
        assert_eq!(labels(&log(3.0, 40_000.0)), ["10", "100", "1000", "10000"]);
        assert!(log(1.0, 1e18).ticks.len() <= 20);
        let linear = |to, fits| Axis::linear("x", 0.0, to, fits, |value| format!("{value}"));
        assert_eq!(labels(&linear(10.0, true)), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(&linear(11.0, false)), ["0", "2", "4", "6", "8", "10", "12"]);
        assert_eq!(
            labels(&linear(0.0, false)),
            ["0", "0.2", "0.4", "0.6000000000000001", "0.8", "1"]
        );
        assert_eq!(labels(&Axis::nines("%", 12_345)), ["50", "90", "99", "99.9", "99.99"]);
    }

    #[test]
    fn nines_take_the_same_room_each() {
        let axis = Axis::nines("%", 10_000);
        for (share, at) in [(0.0, 0.0), (0.9, 0.25), (0.99, 0.5), (0.9999, 1.0), (1.0, 1.0)] {
            assert!((axis.at(share) - at).abs() < 1e-9, "{share}");
        }
    }

    #[test]
    fn a_gap_in_a_line_is_a_gap_and_a_lone_point_is_seen() {
        let points = vec![Some((0.0, 1.0)), Some((1.0, 2.0)), None, Some((3.0, 3.0)), None];
        let line = Line { name: None, class: "s0".into(), points };
        assert_eq!(line.path(|x| x, |y| y), "M0.0 1.0L1.0 2.0M3.0 3.0h.1");
    }
}
