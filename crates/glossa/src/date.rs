//! The date that a model is told, as options and settings spell it. It must not know what day it is.

use server::Date;

/// `today`, `none`, or a day that there is, as `2025-06-28`; nothing for any other text.
pub(crate) fn date(text: &str) -> Option<Date> {
    match text {
        "today" => Some(Date::Today),
        "none" => Some(Date::Untold),
        day => is_day(day).then(|| Date::Fixed(day.to_owned())),
    }
}

fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    let is_plain =
        [year.len(), month.len(), day.len()] == [4, 2, 2] && parts.concat().bytes().all(|b| b.is_ascii_digit());
    let (Ok(year), Ok(month), Ok(day)) = (year.parse(), month.parse::<u8>(), day.parse()) else { return false };
    let month = time::Month::try_from(month);
    is_plain && month.is_ok_and(|month| time::Date::from_calendar_date(year, month, day).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_days_that_there_are() {
        assert_eq!(date("2024-02-29"), Some(Date::Fixed("2024-02-29".into())));
        assert_eq!((date("today"), date("none")), (Some(Date::Today), Some(Date::Untold)));
        for wrong in ["", "Today", "2025-02-29", "2025-13-01", "2025-6-28", "+025-06-28", "2025-06-28 ", "2025-06-28-1"]
        {
            assert_eq!(date(wrong), None, "{wrong:?}");
        }
    }
}
