//! Fewer points that look the same.

/// At most about `4 × buckets` of the points, which are in order of x: of every of so many equal parts of the range of x the
/// first, the lowest, the highest and the last, so that no peak is lost (M4 of Jugel et al., VLDB 2014). Few points stay as
/// they are.
pub fn min_max(points: &[(f64, f64)], buckets: usize) -> Vec<(f64, f64)> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    if points.len() <= buckets.saturating_mul(4) || buckets == 0 || last.0 <= first.0 {
        return points.to_vec();
    }
    let bucket_of = |x: f64| {
        let share = (x - first.0) / (last.0 - first.0);
        ((share * buckets as f64) as usize).min(buckets - 1)
    };
    let mut thinned = Vec::with_capacity(buckets * 4);
    let mut rest = points;
    while let Some(start) = rest.first() {
        let bucket = bucket_of(start.0);
        let end = rest.partition_point(|point| bucket_of(point.0) <= bucket);
        // At least the start, even if x is out of order.
        let (group, after) = rest.split_at(end.max(1));
        let lowest = (0..group.len())
            .min_by(|&a, &b| group[a].1.total_cmp(&group[b].1))
            .unwrap_or(0);
        let highest = (0..group.len())
            .max_by(|&a, &b| group[a].1.total_cmp(&group[b].1))
            .unwrap_or(0);
        let mut kept = [0, lowest, highest, group.len() - 1];
        kept.sort_unstable();
        let mut previous = None;
        for index in kept {
            if previous != Some(index) {
                thinned.push(group[index]);
            }
            previous = Some(index);
        }
        rest = after;
    }
    thinned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_and_ends_survive() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|i| (f64::from(i), f64::from(i % 7))).collect();
        points[54_321].1 = 1_000.0;
        points[12_345].1 = -1_000.0;
        let thin = min_max(&points, 100);
        assert!(thin.len() <= 400 && thin.len() > 200, "{}", thin.len());
        assert!(thin.contains(&(54_321.0, 1_000.0)) && thin.contains(&(12_345.0, -1_000.0)));
        assert_eq!((thin[0], thin[thin.len() - 1]), (points[0], points[99_999]));
        assert!(thin.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn few_points_stay() {
        let points = [(0.0, 1.0), (1.0, 2.0)];
        assert_eq!(min_max(&points, 10), points);
        assert!(min_max(&[], 10).is_empty());
        // All at one time.
        assert_eq!(min_max(&[(1.0, 1.0); 50], 10).len(), 50);
    }
}
