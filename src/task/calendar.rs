//! Dates from milliseconds since the Unix epoch.

/// A moment as a calendar and a clock show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub millisecond: i64,
}

impl Moment {
    /// The moment `ms` milliseconds after 1970 began, where these are counted.
    pub fn of(ms: i64) -> Moment {
        let (days, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
        // Civil date from days since 1970 (proleptic Gregorian calendar), counted in 400-year eras from March.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Moment {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            hour: rest / 3_600_000,
            minute: rest / 60_000 % 60,
            second: rest / 1000 % 60,
            millisecond: rest % 1000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_at_the_borders() {
        for (ms, date, time) in [
            (0, (1970, 1, 1), (0, 0, 0, 0)),
            (-1, (1969, 12, 31), (23, 59, 59, 999)),
            (951_782_400_000, (2000, 2, 29), (0, 0, 0, 0)),
            (1_709_251_199_001, (2024, 2, 29), (23, 59, 59, 1)),
            (1_735_689_600_000, (2025, 1, 1), (0, 0, 0, 0)),
        ] {
            let at = Moment::of(ms);
            assert_eq!((at.year, at.month, at.day), date, "{ms}");
            assert_eq!((at.hour, at.minute, at.second, at.millisecond), time, "{ms}");
        }
    }
}
