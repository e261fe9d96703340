//! Distance between places, and the delay that no fibre can beat.

use longhaul_core::time::Span;

/// Mean radius of the Earth in kilometres.
pub const EARTH_RADIUS_KM: f64 = 6371.0;

/// Nanoseconds per kilometre of light in fibre, at 200,000 km/s.
const FIBRE_NS_PER_KM: f64 = 5_000.0;

/// Geographic coordinates in millionths of a degree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Coordinates {
    /// North positive, within ±90°.
    pub latitude_microdegrees: i32,
    /// East positive, within ±180°.
    pub longitude_microdegrees: i32,
}

impl Coordinates {
    /// Great-circle distance in kilometres on a sphere of [`EARTH_RADIUS_KM`], by the haversine formula, which
    /// keeps its precision at short distances.
    pub fn distance_km(self, other: Coordinates) -> f64 {
        let radians = |microdegrees: i64| microdegrees as f64 * (std::f64::consts::PI / 180e6);
        let (from, to) = (
            self.latitude_microdegrees.into(),
            other.latitude_microdegrees.into(),
        );
        let east = i64::from(other.longitude_microdegrees) - i64::from(self.longitude_microdegrees);
        let half_north = libm::sin(radians(to - from) / 2.0);
        let half_east = libm::sin(radians(east) / 2.0);
        let haversine = half_north * half_north
            + libm::cos(radians(from)) * libm::cos(radians(to)) * half_east * half_east;
        // Rounding can lift the haversine of antipodes above one.
        2.0 * EARTH_RADIUS_KM * libm::asin(haversine.sqrt().min(1.0))
    }

    /// The shortest one-way delay between the two places: light in a straight fibre at 200,000 km/s, rounded
    /// down to a nanosecond.
    pub fn fibre_delay(self, other: Coordinates) -> Span {
        Span::from_ns((self.distance_km(other) * FIBRE_NS_PER_KM) as u64)
    }

    /// The one-way delay of a real route between the two places: [`Coordinates::fibre_delay`] times how much
    /// longer cables and equipment make it, in percent. Rounded down to a nanosecond.
    ///
    /// Measured round trips between cloud regions are 1.8 times those of a straight fibre in the median, most
    /// of them between 1.45 and 2.8 times; `180` is a fair first guess.
    pub fn route_delay(self, other: Coordinates, percent: u32) -> Span {
        let ns = self.distance_km(other) * FIBRE_NS_PER_KM * (f64::from(percent) / 100.0);
        Span::from_ns(ns as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn place(latitude_microdegrees: i32, longitude_microdegrees: i32) -> Coordinates {
        Coordinates {
            latitude_microdegrees,
            longitude_microdegrees,
        }
    }

    const NEW_YORK: Coordinates = place(40_712_800, -74_006_000);
    const LONDON: Coordinates = place(51_507_400, -127_800);
    const MUMBAI: Coordinates = place(19_076_000, 72_877_700);
    const SAN_FRANCISCO: Coordinates = place(37_774_900, -122_419_400);
    const SYDNEY: Coordinates = place(-33_868_800, 151_209_300);
    const SEATTLE: Coordinates = place(47_606_200, -122_332_100);

    #[test]
    fn distances_agree_with_published_values_to_a_metre() {
        for (from, to, km) in [
            (NEW_YORK, LONDON, 5_570.222),
            (NEW_YORK, MUMBAI, 12_538.016),
            (LONDON, MUMBAI, 7_191.697),
            (SAN_FRANCISCO, SYDNEY, 11_947.661),
            (SAN_FRANCISCO, SEATTLE, 1_093.214),
            (SAN_FRANCISCO, LONDON, 8_616.431),
        ] {
            assert!(
                (from.distance_km(to) - km).abs() < 0.000_5,
                "{km}: {}",
                from.distance_km(to)
            );
            assert_eq!(from.distance_km(to), to.distance_km(from));
        }
    }

    #[test]
    fn antipodes_are_half_a_circumference_apart_and_a_place_is_at_itself() {
        let half = std::f64::consts::PI * EARTH_RADIUS_KM;
        for (a, b) in [
            (place(0, 0), place(0, 180_000_000)),
            (place(90_000_000, 0), place(-90_000_000, 77)),
            (place(12_345_678, 98_765_432), place(-12_345_678, -81_234_568)),
        ] {
            assert!((a.distance_km(b) - half).abs() < 0.001, "{}", a.distance_km(b));
        }
        assert_eq!(SYDNEY.distance_km(SYDNEY), 0.0);
        assert_eq!(
            place(0, -180_000_000).fibre_delay(place(0, 180_000_000)),
            Span::ZERO
        );
    }

    #[test]
    fn light_needs_28_ms_to_cross_the_atlantic() {
        let delay = NEW_YORK.fibre_delay(LONDON);
        assert!(
            delay > Span::from_us(27_851) && delay < Span::from_us(27_852),
            "{delay:?}"
        );
    }
}
