//! First tokens and tokens per second by the number of clients as SVG, readable on light and on dark ground. It must not know how the
//! figures were measured.

use std::fmt::Write;

use super::section::Section;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 340.0;
/// Room for the numbers of an axis and the words above, in each half.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 48.0;
/// Round numbers on an axis, about.
const TICKS: f64 = 5.0;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-size:15px;font-weight:600}\
.grid{stroke:#8b949e;stroke-opacity:.3}.axis{stroke:#8b949e}.line{fill:none;stroke-width:2}.worst{fill:none;stroke-dasharray:5 4}\
.first{stroke:#2f81f7}.second{stroke:#e16f24}.first-point{fill:#2f81f7}.second-point{fill:#e16f24}\
@media(prefers-color-scheme:dark){text{fill:#adb5bd}}";

/// What a target did.
pub(super) struct Line {
    target: String,
    points: Vec<Point>,
}

struct Point {
    clients: usize,
    first_token_seconds: Option<f64>,
    worst_seconds: Option<f64>,
    tokens_per_second: Option<f64>,
}

/// One of the two drawings: a figure over the number of clients.
struct Plane<'a> {
    left: f64,
    right: f64,
    highest: f64,
    /// In rising order, all at the same distance.
    clients: &'a [usize],
}

impl Line {
    /// From the scenario's figures.
    pub(super) fn of(target: &str, section: &Section) -> Self {
        let point = |row| {
            let value = |key| section.value(row, key);
            Some(Point {
                clients: value("clients")? as usize,
                first_token_seconds: value("first_token_seconds"),
                worst_seconds: value("first_token_worst_seconds"),
                tokens_per_second: value("tokens_per_second"),
            })
        };
        let mut points: Vec<Point> = (0..section.rows.len()).filter_map(point).collect();
        points.sort_by_key(|point| point.clients);
        Self { target: target.to_owned(), points }
    }
}

/// The drawing: on the left the time to the first token (the worst dashed), on the right the tokens per second of all together.
pub(super) fn svg(lines: &[Line]) -> String {
    let title = "Glossa under load: many clients at the same moment";
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n<style>{STYLE}</style>\n\
         <title>{title}</title>\n<text class=\"title\" x=\"{LEFT}\" y=\"22\">{title}</text>\n"
    );
    let points = || lines.iter().flat_map(|line| &line.points);
    let mut clients: Vec<usize> = points().map(|point| point.clients).collect();
    clients.sort_unstable();
    clients.dedup();
    let highest = |figures: &mut dyn Iterator<Item = Option<f64>>| figures.flatten().fold(0.0, f64::max);
    let seconds = highest(&mut points().flat_map(|point| [point.first_token_seconds, point.worst_seconds]));
    let rate = highest(&mut points().map(|point| point.tokens_per_second));
    let plane = |half: f64, highest| Plane {
        left: half * WIDTH / 2.0 + LEFT,
        right: (half + 1.0) * WIDTH / 2.0 - RIGHT,
        highest,
        clients: &clients,
    };
    let (left, right) = (plane(0.0, seconds), plane(1.0, rate));
    left.draw_axes(&mut out, "seconds to the first token (dashed: the worst)");
    right.draw_axes(&mut out, "tokens per second of all together");
    for (line, class) in lines.iter().zip(["first", "second"]) {
        left.draw_line(&mut out, &format!("line {class}"), &line.points, |point| point.first_token_seconds);
        left.draw_line(&mut out, &format!("worst {class}"), &line.points, |point| point.worst_seconds);
        right.draw_line(&mut out, &format!("line {class}"), &line.points, |point| point.tokens_per_second);
        left.draw_points(&mut out, class, &line.points, |point| point.first_token_seconds);
        right.draw_points(&mut out, class, &line.points, |point| point.tokens_per_second);
    }
    for ((line, class), x) in lines.iter().zip(["first", "second"]).zip([LEFT, LEFT + 180.0]) {
        let _ = writeln!(out, "<path class=\"line {class}\" d=\"M{x} 42h24\"/>");
        let _ = writeln!(out, "<text x=\"{}\" y=\"46\">{}</text>", x + 32.0, escaped(&line.target));
    }
    out + "</svg>\n"
}

impl Plane<'_> {
    fn x(&self, clients: usize) -> f64 {
        let index = self.clients.iter().position(|&one| one == clients).unwrap_or(0);
        let share = (index as f64 + 0.5) / self.clients.len().max(1) as f64;
        self.left + (self.right - self.left) * share
    }

    fn y(&self, value: f64) -> f64 {
        let share = if self.highest > 0.0 { value / self.highest } else { 0.0 };
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
    }

    fn draw_axes(&self, out: &mut String, title: &str) {
        let (left, right, bottom) = (self.left, self.right, HEIGHT - BOTTOM);
        let _ = writeln!(out, "<text x=\"{left}\" y=\"{}\">{title}</text>", TOP - 12.0);
        for tick in ticks(self.highest) {
            let y = self.y(tick);
            let _ = writeln!(out, "<line class=\"grid\" x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>");
            let _ = writeln!(out, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>", left - 8.0, y + 4.0);
        }
        for &clients in self.clients {
            let (x, y) = (self.x(clients), bottom + 20.0);
            let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{clients}</text>");
        }
        let _ = writeln!(out, "<path class=\"axis\" fill=\"none\" d=\"M{left} {TOP}V{bottom}H{right}\"/>");
        let _ = writeln!(out, "<text x=\"{right}\" y=\"{}\" text-anchor=\"end\">clients</text>", HEIGHT - 8.0);
    }

    /// Where a figure is known, from left to right.
    fn places(&self, points: &[Point], figure: impl Fn(&Point) -> Option<f64>) -> Vec<(f64, f64)> {
        points.iter().filter_map(|point| Some((self.x(point.clients), self.y(figure(point)?)))).collect()
    }

    fn draw_line(&self, out: &mut String, class: &str, points: &[Point], figure: impl Fn(&Point) -> Option<f64>) {
        let places = self.places(points, figure).into_iter().map(|(x, y)| format!("{x:.1},{y:.1}"));
        let places: Vec<String> = places.collect();
        if places.len() > 1 {
            let _ = writeln!(out, "<polyline class=\"{class}\" points=\"{}\"/>", places.join(" "));
        }
    }

    fn draw_points(&self, out: &mut String, class: &str, points: &[Point], figure: impl Fn(&Point) -> Option<f64>) {
        for (x, y) in self.places(points, figure) {
            let _ = writeln!(out, "<circle class=\"{class}-point\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
        }
    }
}

/// Round numbers from 0 to the highest figure.
fn ticks(highest: f64) -> Vec<f64> {
    if highest <= 0.0 || !highest.is_finite() {
        return vec![0.0];
    }
    let rough = highest / TICKS;
    let power = rough.log10().floor() as i32;
    // Written out and read, so that 0.1 is 0.1 and not a product that is nearly so.
    let number = |digits: u64, power: i32| format!("{digits}e{power}").parse().unwrap_or(highest);
    let steps = [1, 2, 5, 10];
    let digit = steps.into_iter().find(|&digit| number(digit, power) >= rough).unwrap_or(10);
    let count = (highest / number(digit, power)).floor() as u64;
    (0..=count).map(|index| number(index * digit, power)).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{Line, Point, svg, ticks};

    fn line(target: &str, clients: &[usize], factor: f64) -> Line {
        let point = |&clients: &usize| Point {
            clients,
            first_token_seconds: Some(clients as f64 * factor),
            worst_seconds: Some(clients as f64 * factor * 1.5),
            tokens_per_second: Some(10.0 + clients as f64),
        };
        Line { target: target.into(), points: clients.iter().map(point).collect() }
    }

    /// Every element that is opened is closed, in order; attributes have quotes.
    fn is_well_formed(drawing: &str) -> bool {
        let mut open = Vec::new();
        for tag in drawing.split('<').skip(1) {
            let Some((tag, _)) = tag.split_once('>') else { return false };
            if tag.matches('"').count() % 2 == 1 {
                return false;
            }
            match tag.strip_prefix('/') {
                Some(name) if open.pop() != Some(name.to_owned()) => return false,
                Some(_) => {}
                None if tag.ends_with('/') => {}
                None => open.push(tag.split(' ').next().unwrap().to_owned()),
            }
        }
        open.is_empty()
    }

    #[test]
    fn two_targets_are_drawn() {
        let drawing = svg(&[line("glossa", &[1, 4, 8], 0.3), line("a <server> & more", &[1, 8], 3.0)]);
        assert!(is_well_formed(&drawing), "{drawing}");
        assert_eq!((drawing.matches("<polyline").count(), drawing.matches("<circle").count()), (6, 10));
        assert!(drawing.contains("a &lt;server&gt; &amp; more") && drawing.contains("prefers-color-scheme:dark"));
        // The worst first token of 36 s stands at the top, and the axes have numbers.
        assert!(drawing.contains(",76.0") && drawing.contains(">30<") && drawing.contains(">4<"), "{drawing}");
    }

    #[test]
    fn little_is_drawn_too() {
        let unknown = Point { clients: 1, first_token_seconds: None, worst_seconds: None, tokens_per_second: None };
        let none = Line { target: "none".into(), points: vec![unknown] };
        for lines in [vec![], vec![none], vec![line("one", &[1], 0.0)]] {
            let drawing = svg(&lines);
            assert!(is_well_formed(&drawing) && !drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
        }
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(ticks(43.0), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!(ticks(0.9), [0.0, 0.2, 0.4, 0.6, 0.8]);
        assert_eq!(ticks(0.0), [0.0]);
        assert_eq!(ticks(2.5), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
    }
}
