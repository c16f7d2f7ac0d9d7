//! The curve of a run's loss as SVG, readable on light and on dark ground. It must not know how the figures were measured.

use std::fmt::Write;

use crate::metrics::Line;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 420.0;
/// Room for the numbers of the axes and the words above.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 48.0;
/// Points that a line is drawn with at most: more cannot be seen.
const POINTS_MAX: usize = 600;
/// Losses below this are drawn as this: the axis is logarithmic.
const LOSS_MIN: f64 = 1e-6;
/// A run's steps by this are what the smoothed line forgets within.
const MEMORIES: f64 = 20.0;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-size:15px;font-weight:600}\
.grid{stroke:#8b949e;stroke-opacity:.3}.axis{stroke:#8b949e}.steps{fill:none;stroke:#2f81f7;stroke-opacity:.3}\
.mean{fill:none;stroke:#2f81f7;stroke-width:2}.validation{fill:none;stroke:#e16f24;stroke-width:1.5}.point{fill:#e16f24}\
@media(prefers-color-scheme:dark){text{fill:#adb5bd}}";

/// The drawing: the loss of each step (pale), its running mean, and the validation loss, over the steps.
#[must_use]
pub fn svg(lines: &[Line], title: &str) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n<style>{STYLE}</style>\n\
         <title>{title}</title>\n<text class=\"title\" x=\"{LEFT}\" y=\"22\">{title}</text>\n",
        title = escaped(title)
    );
    let validation: Vec<(f64, f64)> =
        lines.iter().filter_map(|line| Some((line.step as f64, line.validation_loss?.max(LOSS_MIN)))).collect();
    let steps: Vec<(f64, f64)> = lines.iter().map(|line| (line.step as f64, line.loss.max(LOSS_MIN))).collect();
    let Some(plane) = Plane::around(&steps, &validation) else {
        return out + "<text x=\"64\" y=\"200\">no steps yet</text>\n</svg>\n";
    };
    plane.draw_axes(&mut out);
    plane.draw_line(&mut out, "steps", &thinned(&steps));
    plane.draw_line(&mut out, "mean", &thinned(&running_mean(&steps)));
    plane.draw_line(&mut out, "validation", &validation);
    for (step, loss) in &validation {
        let _ = writeln!(
            out,
            "<circle class=\"point\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\"/>",
            plane.x(*step),
            plane.y(*loss)
        );
    }
    draw_legend(&mut out, lines, &validation);
    out + "</svg>\n"
}

/// Where steps and losses lie on the drawing.
struct Plane {
    last_step: f64,
    /// Natural logarithms of the lowest and highest loss.
    lowest: f64,
    highest: f64,
}

impl Plane {
    fn around(steps: &[(f64, f64)], validation: &[(f64, f64)]) -> Option<Self> {
        let last_step = steps.last()?.0;
        let losses = steps.iter().chain(validation).map(|(_, loss)| loss.ln());
        let (lowest, highest) =
            losses.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), loss| (low.min(loss), high.max(loss)));
        // Some room above and below, also when all losses are the same.
        let room = 0.04 * (highest - lowest) + 0.02;
        Some(Self { last_step, lowest: lowest - room, highest: highest + room })
    }

    fn x(&self, step: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * step / self.last_step.max(1.0)
    }

    fn y(&self, loss: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (self.highest - loss.ln()) / (self.highest - self.lowest)
    }

    fn draw_axes(&self, out: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for loss in loss_ticks(self.lowest.exp(), self.highest.exp()) {
            let y = self.y(loss);
            let _ = writeln!(out, "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>");
            let (x, y) = (LEFT - 8.0, y + 4.0);
            let _ = writeln!(out, "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{loss}</text>");
        }
        for step in even_ticks(0.0, self.last_step, 8.0).into_iter().filter(|step| step.fract() == 0.0) {
            let x = self.x(step);
            let _ = writeln!(
                out,
                "<line class=\"axis\" x1=\"{x:.1}\" y1=\"{bottom}\" x2=\"{x:.1}\" y2=\"{}\"/>",
                bottom + 5.0
            );
            let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{step}</text>", bottom + 20.0);
        }
        let _ = writeln!(out, "<path class=\"axis\" fill=\"none\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>");
        let _ = writeln!(out, "<text x=\"{right}\" y=\"{}\" text-anchor=\"end\">steps</text>", HEIGHT - 8.0);
        let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"38\" text-anchor=\"end\">loss</text>");
    }

    fn draw_line(&self, out: &mut String, class: &str, points: &[(f64, f64)]) {
        let places: Vec<String> =
            points.iter().map(|&(step, loss)| format!("{:.1},{:.1}", self.x(step), self.y(loss))).collect();
        if !places.is_empty() {
            let _ = writeln!(out, "<polyline class=\"{class}\" points=\"{}\"/>", places.join(" "));
        }
    }
}

fn draw_legend(out: &mut String, lines: &[Line], validation: &[(f64, f64)]) {
    let mut entries = vec![("mean", "training".to_owned())];
    if let Some((_, loss)) = validation.last() {
        let accuracy = lines.iter().rev().find_map(|line| line.validation_accuracy);
        let share = accuracy.map_or(String::new(), |share| format!(", {:.1} % right", 100.0 * share));
        entries.push(("validation", format!("validation, at the end {loss:.3}{share}")));
    }
    for ((class, words), row) in entries.iter().zip(0u8..) {
        let y = TOP + 14.0 + 18.0 * f64::from(row);
        let x = WIDTH - RIGHT - 340.0;
        let _ = writeln!(out, "<path class=\"{class}\" d=\"M{x} {}h24\"/>", y - 4.0);
        let _ = writeln!(out, "<text x=\"{}\" y=\"{y}\">{words}</text>", x + 32.0);
    }
}

/// A mean that forgets; corrected for its beginning, which has little to remember.
fn running_mean(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let keep = 1.0 - 1.0 / (points.len() as f64 / MEMORIES).max(1.0);
    let (mut sum, mut weight) = (0.0, 0.0);
    let mean = |&(step, loss): &(f64, f64)| {
        sum = keep * sum + loss;
        weight = keep * weight + 1.0;
        (step, sum / weight)
    };
    points.iter().map(mean).collect()
}

/// Evenly chosen points, the last among them.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let stride = points.len().div_ceil(POINTS_MAX).max(1);
    points.iter().rev().step_by(stride).rev().copied().collect()
}

/// Round numbers within the limits: few of each power of ten if there are many powers, more if few, and evenly spaced ones
/// if the limits are close.
fn loss_ticks(lowest: f64, highest: f64) -> Vec<f64> {
    let powers = lowest.log10().floor() as i32..=highest.log10().ceil() as i32;
    let ticks = |digits: &[&str]| -> Vec<f64> {
        // Written out and read, so that 0.1 is 0.1 and not a product that is nearly so.
        let tick = |power: i32| digits.iter().map(move |digit| format!("{digit}e{power}").parse().unwrap_or(1.0));
        powers.clone().flat_map(tick).filter(|tick| (lowest..=highest).contains(tick)).collect()
    };
    let choices = [ticks(&["1", "2", "5"]), ticks(&["1", "1.5", "2", "3", "4", "6", "8"])];
    choices.into_iter().find(|ticks| ticks.len() >= 4).unwrap_or_else(|| even_ticks(lowest, highest, 6.0))
}

/// About so many round numbers, evenly spaced within the limits.
fn even_ticks(lowest: f64, highest: f64, count: f64) -> Vec<f64> {
    let rough = ((highest - lowest) / count).max(f64::MIN_POSITIVE);
    let power = rough.log10().floor() as i32;
    let digit = [1, 2, 5].into_iter().find(|digit| f64::from(*digit) * 10f64.powi(power) >= rough);
    let (digit, power) = digit.map_or((1, power + 1), |digit| (digit, power));
    let step = f64::from(digit) * 10f64.powi(power);
    let (first, last) = ((lowest / step).ceil() as i64, (highest / step).floor() as i64);
    let tick = |index: i64| format!("{}e{power}", index * i64::from(digit)).parse().unwrap_or(0.0);
    (first..=last).map(tick).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{POINTS_MAX, even_ticks, loss_ticks, running_mean, svg, thinned};
    use crate::metrics::Line;
    use crate::metrics::tests::line;

    fn falling(steps: u64) -> Vec<Line> {
        (1..=steps).map(|step| line(step, 7.5 / (1.0 + step as f64 / 20.0) + 0.05)).collect()
    }

    /// The points of the first polyline of a class.
    fn points(drawing: &str, class: &str) -> Vec<(f64, f64)> {
        let start = drawing.find(&format!("<polyline class=\"{class}\" points=\"")).unwrap();
        let list = drawing[start..].split('"').nth(3).unwrap();
        let point = |pair: &str| {
            let (x, y) = pair.split_once(',').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        };
        list.split(' ').map(point).collect()
    }

    #[test]
    fn a_falling_loss_falls_on_the_drawing() {
        let drawing = svg(&falling(2000), "one & two");
        for class in ["steps", "mean", "validation"] {
            let points = points(&drawing, class);
            assert!(points.len() > 100 && points.len() <= POINTS_MAX, "{class}: {}", points.len());
            // Downwards is more on an SVG.
            assert!(points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{class}");
            assert!(points.iter().all(|(x, y)| (64.0..=784.0).contains(x) && (44.0..=372.0).contains(y)), "{class}");
        }
        assert!(drawing.contains("<title>one &amp; two</title>"));
        for number in [">0.2<", ">0.5<", ">5<", ">500<", ">2000<"] {
            assert!(drawing.contains(number), "{number} on an axis");
        }
        assert_eq!(drawing.matches("<circle").count(), 200);
        assert!(drawing.contains("prefers-color-scheme:dark"));
    }

    #[test]
    fn few_or_no_steps_are_drawn_too() {
        assert!(svg(&[], "none").contains("no steps yet"));
        for lines in [falling(1), falling(3), vec![line(1, 2.0), line(2, 2.0)], vec![line(1, 0.0)]] {
            let drawing = svg(&lines, "few");
            assert!(drawing.ends_with("</svg>\n") && !drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
        }
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(loss_ticks(0.04, 8.0), [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]);
        assert_eq!(loss_ticks(1.1, 7.0), [1.5, 2.0, 3.0, 4.0, 6.0]);
        assert_eq!(loss_ticks(0.31, 0.36), [0.31, 0.32, 0.33, 0.34, 0.35, 0.36]);
        assert_eq!(even_ticks(0.0, 3000.0, 8.0), [0.0, 500.0, 1000.0, 1500.0, 2000.0, 2500.0, 3000.0]);
    }

    #[test]
    fn the_mean_is_a_mean_and_thinning_keeps_the_last() {
        let same: Vec<(f64, f64)> = (0..500).map(|step| (f64::from(step), 3.0)).collect();
        assert!(running_mean(&same).iter().all(|(_, mean)| (mean - 3.0).abs() < 1e-12));
        let waves: Vec<(f64, f64)> = (0..5000).map(|step| (f64::from(step), f64::from(step % 2))).collect();
        let (_, end) = running_mean(&waves)[4999];
        assert!((end - 0.5).abs() < 0.01, "{end}");
        assert_eq!(thinned(&waves).last(), Some(&(4999.0, 1.0)));
        assert!(thinned(&waves).len() <= POINTS_MAX);
    }
}
